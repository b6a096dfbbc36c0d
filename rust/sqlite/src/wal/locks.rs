//! SQLite's locks in the wal-index, taken for the length of a closure, and who holds one that we want.

use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_core::{Hurry, Patience};

use super::core::{Core, HIDDEN};
use crate::error::Error;
use crate::ffi::{HostFile, ShmLock, VfsError};
use crate::file::FileId;
use crate::kernel_locks::{self, HeldLock};

/// Lock numbers in the wal-index.
pub(crate) const WRITE: u8 = 0;
pub(crate) const CKPT: u8 = 1;
pub(crate) const READ0: u8 = 3;
pub(crate) const READ1: u8 = 4;
/// The slot of the freeze.
pub(crate) const READ4: u8 = 7;
/// Who waits for so long looks whether waiting can help at all.
const BEFORE_LOOKING: Duration = Duration::from_millis(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// Byte of the `-shm` file at which lock number 0 is.
const FIRST_BYTE: u64 = 120;

impl Core {
    /// Runs `work` with the lock number held exclusively, and gives it back whatever comes out.
    ///
    /// Where the calling thread's own transaction is in the way it is said at once: it cannot end while the thread waits. WRITE is
    /// asked for under the object's lock then, under which alone threads of ours take it, too.
    pub(crate) fn with_exclusive<T>(
        &mut self,
        lock: u8,
        timeout: Duration,
        what: &str,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let mut patience: Option<Patience> = None;
        let mut mine = false;
        let mut next_look = started + BEFORE_LOOKING;
        let path = self.path.clone();
        let gives_up = || {
            if lock == WRITE && Instant::now() >= next_look {
                mine = is_mine(&path, lock);
                // Again: a thread of ours that has just begun has not got its name yet.
                next_look = Instant::now() + BETWEEN_LOOKS;
            }
            mine || patience.get_or_insert_default().is_over()
        };
        let taken =
            HostFile::retry_until(timeout, gives_up, || self.file.shm_lock(lock, 1, ShmLock::Exclusive));
        taken.map_err(|error| match error {
            VfsError::Interrupted if mine => Error::Busy {
                what: "this thread itself is in the way, so it cannot wait for the writer to finish"
                    .to_owned(),
                holder: Some(OF_THIS_THREAD.to_owned()),
                waited: Duration::ZERO,
            },
            VfsError::Busy => Error::Busy {
                what: what.to_owned(),
                holder: holder_of(&self.path, lock),
                waited: started.elapsed(),
            },
            other => Error::vfs("lock the wal-index")(other),
        })?;
        let outer = self.writing;
        self.writing |= lock == WRITE;
        // Every writer waits as long as an append does under it. Not as long as the call may: an append that finds no room ends the recording,
        // which no timeout is to decide about.
        let hurry = self.writing.then(|| Hurry::appends_wait_for(HIDDEN));
        let result = work(self);
        drop(hurry);
        self.writing = outer;
        self.file.shm_unlock(lock, 1, ShmLock::Exclusive).map_err(Error::vfs("unlock the wal-index"))?;
        result
    }

    /// Tries once to take `count` locks from `first` exclusively. `false`: somebody holds one; none is held.
    pub(crate) fn try_exclusive(&mut self, first: u8, count: u8) -> Result<bool, Error> {
        match self.file.shm_lock(first, count, ShmLock::Exclusive) {
            Ok(()) => Ok(true),
            Err(VfsError::Busy) => Ok(false),
            Err(other) => Err(Error::vfs("lock the wal-index")(other)),
        }
    }

    /// Gives exclusive locks back.
    pub(crate) fn release_exclusive(&mut self, first: u8, count: u8) -> Result<(), Error> {
        self.file.shm_unlock(first, count, ShmLock::Exclusive).map_err(Error::vfs("unlock the wal-index"))
    }
}

const OF_THIS_THREAD: &str = "a connection of this thread has an open write transaction";

/// Whether it is certainly the calling thread's connection that holds a lock of the wal-index: it is one of this process, which
/// has no other thread. Else which thread's it is nothing tells, since a WAL's writers are not watched.
fn is_mine(database: &Path, lock: u8) -> bool {
    kernel_locks::no_other_thread() && holding_process(database, lock) == Some(std::process::id())
}

fn holding_process(database: &Path, lock: u8) -> Option<u32> {
    let mut shm = database.as_os_str().to_owned();
    shm.push("-shm");
    let file = FileId::of(Path::new(&shm)).ok()?;
    let byte = FIRST_BYTE + u64::from(lock);
    let is_it = |lock: &&HeldLock| (lock.bytes.0..=lock.bytes.1).contains(&byte);
    let found = kernel_locks::on(file, |found| found.iter().any(|lock| is_it(&lock)));
    Some(found.iter().find(is_it)?.pid)
}

/// Who holds a lock of the wal-index: "process 17 (python3)".
pub(super) fn holder_of(database: &Path, lock: u8) -> Option<String> {
    let pid = holding_process(database, lock)?;
    if pid == std::process::id() {
        // Which thread's, nothing tells.
        let who = "a connection in this process (this thread's own cannot end while the call waits)";
        return Some(who.to_owned());
    }
    Some(format!("process {pid}{}", kernel_locks::program(pid)))
}
