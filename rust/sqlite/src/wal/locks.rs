//! SQLite's locks in the wal-index, taken for the length of a closure, and who holds one that we want.

use std::path::Path;
use std::time::{Duration, Instant};

use super::core::Core;
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
/// Byte of the `-shm` file at which lock number 0 is.
const FIRST_BYTE: u64 = 120;

impl Core {
    /// Runs `work` with the lock number held exclusively, and gives it back whatever comes out.
    pub(crate) fn with_exclusive<T>(
        &mut self,
        lock: u8,
        timeout: Duration,
        what: &str,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        HostFile::retry_patiently(timeout, || self.file.shm_lock(lock, 1, ShmLock::Exclusive)).map_err(
            |error| match error {
                VfsError::Busy => Error::Busy {
                    what: what.to_owned(),
                    holder: holder_of(&self.path, lock),
                    waited: started.elapsed(),
                },
                other => Error::vfs("lock the wal-index")(other),
            },
        )?;
        let outer = self.writing;
        self.writing |= lock == WRITE;
        let result = work(self);
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

/// Who holds a lock of the wal-index: "process 17 (python3)".
pub(super) fn holder_of(database: &Path, lock: u8) -> Option<String> {
    let mut shm = database.as_os_str().to_owned();
    shm.push("-shm");
    let file = FileId::of(Path::new(&shm)).ok()?;
    let byte = FIRST_BYTE + u64::from(lock);
    let is_it = |lock: &&HeldLock| (lock.bytes.0..=lock.bytes.1).contains(&byte);
    let found = kernel_locks::on(file, |found| found.iter().any(|lock| is_it(&lock)));
    let pid = found.iter().find(is_it)?.pid;
    if pid == std::process::id() {
        // Which thread's, nothing tells.
        let who = "a connection in this process (this thread's own cannot end while the call waits)";
        return Some(who.to_owned());
    }
    Some(format!("process {pid}{}", kernel_locks::program(pid)))
}
