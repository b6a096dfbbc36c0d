//! A call that wants the engine's lock, of the thread that has it: nobody else would give it back, so it does not wait.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use dbrewind_volume::{
    AttachOptions, Code, Error, FileVolume, Medium, Memory, RewindOptions, Storage, StoreSettings, Volume,
    VolumeStore,
};

/// Longer than anybody waits for a test.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);
/// What is not done by then waits.
const LONG: Duration = Duration::from_secs(120);

fn patient() -> AttachOptions {
    AttachOptions { timeout: FOR_EVER, ..AttachOptions::default() }
}

/// Runs it on a thread that is left behind if it waits.
#[track_caller]
fn at_once(run: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let running = std::thread::spawn(move || {
        run();
        let _ = done.send(());
    });
    if is_done.recv_timeout(LONG) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it waits for itself");
    }
    running.join().unwrap();
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), Code::Busy);
    assert!(error.to_string().contains("this thread's own change of the content is still open"), "{error}");
}

#[test]
fn hazard_a_thread_waits_for_its_own_change_of_a_file() {
    at_once(|| {
        let folder = tempfile::tempdir().unwrap();
        let (history, path) = (folder.path().join("history"), folder.path().join("data"));
        let store = VolumeStore::open(&history, &StoreSettings::default()).unwrap();
        let file = FileVolume::attach(&store, "data", 64, &path, &patient()).unwrap();
        file.mark("m").unwrap();
        let mut change = file.begin().unwrap();
        change.write_at(0, b"written").unwrap();
        refused(file.mark("n"));
        refused(file.mark_pinned("n"));
        refused(file.rewind("m"));
        refused(file.rewind_with("m", RewindOptions { timeout: Some(FOR_EVER), use_earliest: true }));
        refused(file.begin());
        // What needs no lock is answered.
        assert_eq!(file.marks().unwrap().len(), 1);
        file.status().unwrap();
        // Another thread waits as ever, and is told something else.
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let timeout = Some(Duration::from_millis(20));
                file.rewind_with("m", RewindOptions { timeout, use_earliest: false }).unwrap_err()
            });
            let error = other.join().unwrap();
            assert_eq!(error.code(), Code::Busy);
            assert!(error.to_string().contains("the engine's lock was not free"), "{error}");
        });
        change.commit().unwrap();
        file.mark("n").unwrap();
        file.rewind("m").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        // Ended on another thread, it is ended.
        let change = file.begin().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(change));
        });
        file.mark("o").unwrap();
        let change = file.begin().unwrap();
        refused(file.detach());
        drop(change);
    });
}

/// Memory that tells when it is asked for its lock.
struct Asked(Memory, mpsc::Sender<()>);

impl Storage for Asked {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        let _ = self.1.send(());
        self.0.lock(timeout)
    }
    fn unlock(&self) {
        self.0.unlock();
    }
    fn is_locked_here(&self) -> bool {
        self.0.is_locked_here()
    }
}

impl Medium for Asked {
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

/// Who waits for the engine's lock has the right to change the history meanwhile.
#[test]
fn hazard_another_thread_waits_for_the_change_of_the_one_that_calls() {
    at_once(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = VolumeStore::open(folder.path(), &StoreSettings::default()).unwrap();
        let memory = Memory::new(&[7; 1000]);
        let (asks, asked) = mpsc::channel();
        let volume = Volume::attach(&store, "v", 64, Asked(memory.clone(), asks), &patient()).unwrap();
        volume.mark("m").unwrap();
        let held = memory.locked();
        while asked.try_recv().is_ok() {}
        std::thread::scope(|scope| {
            let other = scope.spawn(|| volume.rewind("m").unwrap());
            asked.recv().unwrap();
            refused(volume.mark("n"));
            refused(volume.rewind("m"));
            drop(held);
            other.join().unwrap();
        });
        volume.mark("n").unwrap();
    });
}
