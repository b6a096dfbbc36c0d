//! Is the history kept or lost, and what is refused: the table of `rust/docs/volumes.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod failing;
#[path = "../../core/tests/support/restart.rs"]
mod restart;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dbrewind_volume::{
    AttachOptions, Code, Error, FileVolume, MarkState, Medium, Memory, Storage, StoreSettings, Volume,
    VolumeStore,
};
use failing::Failing;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.data(), [7; 1000]).unwrap();
        folder
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn history(&self) -> PathBuf {
        self.0.path().join("history")
    }

    fn store(&self) -> VolumeStore {
        VolumeStore::open(&self.history(), &StoreSettings::default()).unwrap()
    }

    fn attach(&self) -> FileVolume {
        FileVolume::attach(&self.store(), "data", 64, &self.data(), &AttachOptions::default()).unwrap()
    }
}

fn write(file: &FileVolume, at: u64, bytes: &[u8]) {
    let mut change = file.begin().unwrap();
    change.write_at(at, bytes).unwrap();
    change.commit().unwrap();
}

fn state(file: &FileVolume, name: &str) -> MarkState {
    file.marks().unwrap().into_iter().find(|mark| mark.name == name).unwrap().state
}

/// What a kill leaves: nothing is noted.
fn kill(file: FileVolume) {
    file.abandon();
}

#[test]
fn a_detached_file_keeps_its_marks() {
    let folder = Folder::new();
    let file = folder.attach();
    file.mark("m").unwrap();
    write(&file, 100, b"changed");
    file.detach().unwrap();
    assert_eq!(file.mark("late").unwrap_err().code(), Code::Closed);
    let file = folder.attach();
    file.rewind("m").unwrap();
    assert_eq!(std::fs::read(folder.data()).unwrap(), [7; 1000]);
}

#[test]
fn hazard_somebody_writes_between_two_attachments() {
    let folder = Folder::new();
    let file = folder.attach();
    file.mark("m").unwrap();
    write(&file, 100, b"changed");
    file.detach().unwrap();
    std::os::unix::fs::FileExt::write_all_at(
        &std::fs::OpenOptions::new().write(true).open(folder.data()).unwrap(),
        b"unrecorded",
        200,
    )
    .unwrap();
    let file = folder.attach();
    assert_eq!(state(&file, "m"), MarkState::Lost);
    assert_eq!(file.rewind("m").unwrap_err().code(), Code::MarkLost);
}

#[test]
fn hazard_somebody_changes_the_length_unrecorded() {
    let folder = Folder::new();
    let file = folder.attach();
    file.mark("m").unwrap();
    std::fs::write(folder.data(), [1; 10]).unwrap();
    assert_eq!(file.rewind("m").unwrap_err().code(), Code::NotAttached);
    assert_eq!(file.mark("n").unwrap_err().code(), Code::NotAttached);
    kill(file);
    assert_eq!(state(&folder.attach(), "m"), MarkState::Lost);
}

#[test]
fn a_killed_change_is_a_moment_and_marks_stay() {
    let folder = Folder::new();
    let (store, memory) = (folder.store(), Memory::new(&[7; 1000]));
    let attach = || Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::default()).unwrap();
    let killed = attach();
    killed.mark("m").unwrap();
    let mut lock = memory.locked();
    killed.enter().unwrap();
    killed.will_write(990, 100).unwrap();
    lock.edit(|bytes| {
        bytes.truncate(990);
        bytes.resize(1090, 9);
    });
    killed.abandon();
    let before = lock.content();
    drop(lock);
    let other = attach();
    assert!(other.dirty_since("m").unwrap());
    let undo = other.rewind("m").unwrap().undo;
    assert_eq!(memory.locked().content(), [7; 1000]);
    other.rewind(undo).unwrap();
    assert_eq!(memory.locked().content(), before);
}

#[test]
fn content_that_begins_anew_loses_its_marks() {
    let folder = Folder::new();
    let store = folder.store();
    let first = Volume::attach(&store, "table", 64, Memory::new(&[1; 100]), &AttachOptions::anew()).unwrap();
    first.mark("m").unwrap();
    first.detach().unwrap();
    let second = Volume::attach(&store, "table", 64, Memory::new(&[2; 100]), &AttachOptions::anew()).unwrap();
    assert_eq!(second.rewind("m").unwrap_err().code(), Code::MarkLost);
    // A lost mark's name is taken until it is dropped.
    assert_eq!(second.mark("m").unwrap_err().code(), Code::MarkExists);
    second.drop_mark("m").unwrap();
    second.mark("m").unwrap();
}

#[test]
fn a_power_cut_keeps_what_was_at_rest() {
    for (rest, kept) in [(true, true), (false, false)] {
        let folder = Folder::new();
        let file = folder.attach();
        file.mark("m").unwrap();
        write(&file, 100, b"changed");
        if rest {
            file.detach().unwrap();
        } else {
            kill(file);
        }
        restart::restart(&folder.history());
        let file = folder.attach();
        assert_eq!(state(&file, "m") == MarkState::Archived, kept, "at rest: {rest}");
        if kept {
            write(&file, 0, b"more");
            file.rewind("m").unwrap();
            assert_eq!(std::fs::read(folder.data()).unwrap(), [7; 1000]);
            write(&file, 0, b"more");
            kill(file);
            restart::restart(&folder.history());
            assert_eq!(state(&folder.attach(), "m"), MarkState::Lost, "it was opened again");
        }
    }
}

fn with_a_change(folder: &Path, lengths: bool) -> (VolumeStore, Arc<Failing>, Volume) {
    let store = VolumeStore::open(folder, &StoreSettings::default()).unwrap();
    let medium = Failing::new(&[5; 640]);
    medium.stiff.store(!lengths, Ordering::Relaxed);
    let volume = Volume::attach(&store, "v", 64, Arc::clone(&medium), &AttachOptions::anew()).unwrap();
    volume.mark("m").unwrap();
    let mut lock = medium.memory.locked();
    volume.enter().unwrap();
    volume.will_write(0, 640).unwrap();
    lock.edit(|bytes| bytes.fill(6));
    volume.will_write(640, 60).unwrap();
    lock.edit(|bytes| bytes.resize(700, 6));
    volume.commit().unwrap();
    drop(lock);
    (store, medium, volume)
}

#[test]
fn an_error_of_the_engine_takes_a_rewind_back() {
    let folder = tempfile::tempdir().unwrap();
    // All ten blocks are written, then the length fails; taking back writes eleven.
    let (_store, medium, volume) = with_a_change(folder.path(), false);
    medium.fail_after(100);
    let error = volume.rewind("m").unwrap_err();
    assert!(matches!(error, Error::Medium { .. }), "{error}");
    let content = medium.memory.locked().content();
    assert_eq!(content, [6; 700]);
    // And nobody takes it up again.
    volume.detach().unwrap();
    let again = Volume::attach(&_store, "v", 64, Arc::clone(&medium), &AttachOptions::default()).unwrap();
    assert_eq!(medium.memory.locked().content(), [6; 700]);
    assert_eq!(again.marks().unwrap()[0].state, MarkState::Archived);
}

#[test]
fn what_can_neither_be_done_nor_taken_back_is_finished_later() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, medium, volume) = with_a_change(folder.path(), true);
    medium.fail_after(4);
    let error = volume.rewind("m").unwrap_err();
    assert!(matches!(error, Error::HalfDone { .. }), "{error}");
    let lock = medium.memory.locked();
    assert_eq!(volume.enter().unwrap_err().code(), Code::Io, "it is half done still");
    medium.fail_after(100);
    volume.enter().unwrap();
    assert_eq!(lock.content(), [5; 640]);
    drop(lock);
    assert!(!volume.dirty_since("m").unwrap());
}

#[test]
fn the_newest_moment_can_be_named_without_a_mark() {
    let folder = Folder::new();
    let file = folder.attach();
    file.mark("m").unwrap();
    write(&file, 100, b"changed");
    let now = file.now().unwrap();
    assert!(!file.dirty_since(now).unwrap());
    let rewound = file.rewind(now).unwrap();
    assert_eq!((rewound.undo, rewound.blocks), (now, 0));
    write(&file, 100, b"again");
    // Nothing was kept for it.
    assert_eq!(file.rewind(now).unwrap_err().code(), Code::MarkNotFound);
}

#[test]
fn a_full_store_stops_the_recording_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { limit: Some(5 << 20), ..StoreSettings::default() };
    let store = VolumeStore::open(folder.path(), &settings).unwrap();
    let memory = Memory::new(&vec![1; 16 << 20]);
    let volume = Volume::attach(&store, "v", 4096, memory.clone(), &AttachOptions::anew()).unwrap();
    volume.mark_pinned("m").unwrap();
    let lock = memory.locked();
    volume.enter().unwrap();
    assert_eq!(volume.will_write(0, 16 << 20).unwrap_err().code(), Code::StoreFull);
    assert_eq!(volume.will_write(0, 1).unwrap_err().code(), Code::StoreFull, "from now on");
    drop(lock);
    assert_eq!(volume.rewind("m").unwrap_err().code(), Code::StoreFull);
    assert_eq!(volume.marks().unwrap()[0].state, MarkState::Lost);
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = VolumeStore::open(folder.path(), &StoreSettings::default()).unwrap();
    let memory = Memory::new(&[0; 100]);
    let attach =
        |name: &str, block| Volume::attach(&store, name, block, memory.clone(), &AttachOptions::anew());
    assert_eq!(attach("", 64).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(attach("a\n", 64).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(attach("a", 65).unwrap_err().code(), Code::InvalidArgument);
    let volume = attach("a", 64).unwrap();
    assert_eq!(volume.will_write(u64::MAX, 2).unwrap_err().code(), Code::InvalidArgument);
    volume.will_write(u64::MAX, 0).unwrap();
    assert_eq!(volume.rewind("x").unwrap_err().code(), Code::MarkNotFound);
    assert_eq!(volume.drop_mark("x").unwrap_err().code(), Code::MarkNotFound);
    let held = memory.locked();
    let options = AttachOptions { timeout: Duration::from_millis(20), ..AttachOptions::anew() };
    let error = Volume::attach(&store, "b", 64, memory.clone(), &options).unwrap_err();
    assert_eq!(error.code(), Code::Busy);
    drop(held);
    assert!(!StoreSettings { limit: Some(5), window: None }.eq(&StoreSettings::default()));
    let small = StoreSettings { limit: Some(5), window: None };
    assert_eq!(VolumeStore::open(folder.path(), &small).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn the_others_hear_of_a_rewind() {
    struct Heard(Memory, AtomicU32);
    impl Storage for Heard {
        fn lock(&self, timeout: Duration) -> io::Result<bool> {
            self.0.lock(timeout)
        }
        fn unlock(&self) {
            self.0.unlock();
        }
        fn after_rewind(&self, _lsn: dbrewind_volume::Lsn) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Medium for Heard {
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
    let folder = tempfile::tempdir().unwrap();
    let store = VolumeStore::open(folder.path(), &StoreSettings::default()).unwrap();
    let memory = Memory::new(&[0; 100]);
    let attach = |options: &AttachOptions| {
        let heard = Arc::new(Heard(memory.clone(), AtomicU32::new(0)));
        (Volume::attach(&store, "v", 64, Arc::clone(&heard), options).unwrap(), heard)
    };
    let (one, _) = attach(&AttachOptions::anew());
    let (two, heard) = attach(&AttachOptions::default());
    one.mark("m").unwrap();
    let mut lock = memory.locked();
    one.enter().unwrap();
    one.will_write(3, 1).unwrap();
    lock.edit(|bytes| bytes[3] = 1);
    one.commit().unwrap();
    drop(lock);
    one.rewind("m").unwrap();
    for _ in 0..2 {
        let _lock = memory.locked();
        two.enter().unwrap();
        assert_eq!(heard.1.load(Ordering::Relaxed), 1, "once");
    }
}
