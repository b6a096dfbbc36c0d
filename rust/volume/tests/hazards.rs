//! Handles that leave a change, callbacks that fail at the wrong moment, forks, power cuts and evictions at the wrong time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod failing;
mod random;
#[path = "../../core/tests/support/restart.rs"]
mod restart;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dbrewind_volume::{
    AttachOptions, Code, Error, FileVolume, MarkState, Medium, Memory, Storage, StoreSettings, Synchronous,
    Volume, VolumeStore,
};
use failing::Failing;
use random::Random;

fn store(folder: &Path) -> VolumeStore {
    VolumeStore::open(folder, &StoreSettings::default()).unwrap()
}

fn attach(store: &VolumeStore, medium: &Arc<Failing>, options: &AttachOptions) -> Volume {
    Volume::attach(store, "v", 64, Arc::clone(medium), options).unwrap()
}

#[test]
fn hazard_who_left_a_change_takes_the_half_rewind_of_another_for_its_own() {
    for writes in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (store, medium) = (store(folder.path()), Failing::new(&[5; 640]));
        let one = attach(&store, &medium, &AttachOptions::anew());
        let two = attach(&store, &medium, &AttachOptions::default());
        one.mark("m").unwrap();
        let mut lock = medium.memory.locked();
        one.enter().unwrap();
        one.will_write(0, 640).unwrap();
        lock.edit(|bytes| bytes.fill(6));
        // Without commit, as after an error of the engine's own.
        drop(lock);
        medium.fail_after(4);
        let error = two.rewind("m").unwrap_err();
        assert!(matches!(error, Error::HalfDone { .. }), "{error}");
        medium.fail_after(u32::MAX);
        let lock = medium.memory.locked();
        if writes {
            one.will_write(0, 1).unwrap();
        } else {
            one.enter().unwrap();
        }
        assert!(lock.content() == [5; 640], "half of it is still to be done");
        one.commit().unwrap();
    }
}

#[test]
fn hazard_what_another_left_cannot_be_settled_before_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let (store, medium) = (store(folder.path()), Failing::new(&[5; 640]));
    let one = attach(&store, &medium, &AttachOptions::anew());
    let two = attach(&store, &medium, &AttachOptions::default());
    one.mark("m").unwrap();
    let mut lock = medium.memory.locked();
    one.enter().unwrap();
    one.will_write(0, 1).unwrap();
    lock.edit(|bytes| bytes[0] = 6);
    drop(lock);
    let mut lock = medium.memory.locked();
    medium.lengthless.store(true, Ordering::Relaxed);
    assert_eq!(two.will_write(100, 1).unwrap_err().code(), Code::Io);
    medium.lengthless.store(false, Ordering::Relaxed);
    // It may go ahead.
    lock.edit(|bytes| bytes[100] = 6);
    drop(lock);
    match one.rewind("m") {
        Ok(_) => assert!(medium.memory.locked().content() == [5; 640], "not what it was"),
        Err(error) => assert_eq!(error.code(), Code::Io),
    }
}

#[test]
fn hazard_others_are_held_up_when_the_recording_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { limit: Some(2 << 20), ..StoreSettings::default() };
    let store = VolumeStore::open(folder.path(), &settings).unwrap();
    let (medium, other) = (Failing::new(&vec![1; 4 << 20]), Failing::new(&vec![1; 4 << 20]));
    let one = Volume::attach(&store, "v", 4096, Arc::clone(&medium), &AttachOptions::anew()).unwrap();
    let two = Volume::attach(&store, "v", 4096, Arc::clone(&medium), &AttachOptions::default()).unwrap();
    let small = Volume::attach(&store, "w", 16, Arc::clone(&other), &AttachOptions::anew()).unwrap();
    one.mark_pinned("m").unwrap();
    small.mark_pinned("m").unwrap();
    let lock = medium.memory.locked();
    one.enter().unwrap();
    assert_eq!(one.will_write(0, 4 << 20).unwrap_err().code(), Code::StoreFull);
    drop(lock);
    // Until there is no room for a commit, either.
    let other_lock = other.memory.locked();
    small.enter().unwrap();
    assert_eq!(small.will_write(0, 4 << 20).unwrap_err().code(), Code::StoreFull);
    drop(other_lock);
    let _lock = medium.memory.locked();
    two.enter().unwrap();
}

#[test]
fn hazard_the_target_of_a_half_rewind_is_evicted_before_anybody_comes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { limit: Some(2 << 20), ..StoreSettings::default() };
    let store = VolumeStore::open(folder.path(), &settings).unwrap();
    let (medium, other) = (Failing::new(&[5; 640]), Failing::new(&vec![1; 100_000]));
    let volume = attach(&store, &medium, &AttachOptions::anew());
    let busy = Volume::attach(&store, "w", 4096, Arc::clone(&other), &AttachOptions::anew()).unwrap();
    let mut random = Random(1);
    let mut change = |volume: &Volume, medium: &Failing, len: u64| {
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let mut lock = medium.memory.locked();
        volume.enter().unwrap();
        volume.will_write(0, len).unwrap();
        lock.edit(|content| *content = bytes);
        volume.commit().unwrap();
    };
    let mut marks = 0;
    volume.mark("m").unwrap();
    // Until it is in another era.
    for _ in 0..6 {
        marks += 1;
        busy.mark(&format!("{marks}")).unwrap();
        change(&busy, &other, 100_000);
        change(&volume, &medium, 700);
    }
    let before = medium.memory.locked().content();
    medium.fail_after(4);
    let error = volume.rewind("m").unwrap_err();
    assert!(matches!(error, Error::HalfDone { .. }), "{error}");
    medium.fail_after(u32::MAX);
    while volume.marks().unwrap()[0].state == MarkState::Archived {
        marks += 1;
        busy.mark(&format!("{marks}")).unwrap();
        change(&busy, &other, 100_000);
    }
    let lock = medium.memory.locked();
    volume.enter().unwrap();
    assert!(lock.content() == before, "half of it");
    drop(lock);
    assert_eq!(volume.rewind("m").unwrap_err().code(), Code::BeforeWindow);
    volume.mark("n").unwrap();
}

#[test]
#[expect(unsafe_code, reason = "fork")]
fn hazard_a_forked_child_gives_back_the_lock_of_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = store(&folder.path().join("history"));
    let file = FileVolume::attach(&store, "data", 64, &path, &AttachOptions::default()).unwrap();
    let change = file.begin().unwrap();
    // SAFETY: the child makes a few system calls, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(change);
        // SAFETY: it ends this process.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: waits for the child; its status is not asked for.
    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    let other = std::fs::File::open(&path).unwrap();
    assert!(other.try_lock().is_err(), "somebody else may write in the midst of the change");
    change.commit().unwrap();
}

/// Outlasts a power cut, as it says, and cannot tell who wrote.
struct Disk(Memory);

impl Storage for Disk {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        self.0.lock(timeout)
    }
    fn unlock(&self) {
        self.0.unlock();
    }
    fn syncs(&self) -> bool {
        true
    }
}

impl Medium for Disk {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, to)
    }
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.truncate(size)
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

/// The log of a store, without what came to it later; what is on disk for certain is told by the control file.
fn segments(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let segments = entries.filter(|path| path.extension().is_some_and(|end| end == "seg"));
    segments.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn hazard_a_power_cut_takes_the_note_that_the_content_changes() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(&[5; 640]);
    let options = AttachOptions { synchronous: Synchronous::Off, ..AttachOptions::default() };
    let attach = || Volume::attach(&store(folder.path()), "v", 64, Disk(memory.clone()), &options);
    let volume = attach().unwrap();
    volume.mark("m").unwrap();
    volume.detach().unwrap();
    drop(volume);
    let before = segments(folder.path());
    let volume = attach().unwrap();
    let mut lock = memory.locked();
    volume.enter().unwrap();
    volume.will_write(100, 1).unwrap();
    lock.edit(|bytes| bytes[100] = 6);
    drop(lock);
    std::mem::forget(volume);
    // All that was not synced is gone, but the content is not.
    for (path, bytes) in before {
        let new = path.with_extension("new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(&new, &path).unwrap();
    }
    restart::restart(folder.path());
    // That a store is damaged which lacks what was synced is right: then it was not what a power cut leaves.
    if let Ok(volume) = std::panic::catch_unwind(attach).unwrap_or(Err(Error::Closed)) {
        assert_eq!(volume.marks().unwrap()[0].state, MarkState::Lost);
    }
}
