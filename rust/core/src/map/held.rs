use std::io;
use std::path::Path;
use std::time::Duration;

use crate::map::LockFile;

/// One byte of the lock file, held through a descriptor of its own until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    file: LockFile,
    byte: u32,
}

impl Held {
    /// Takes a byte, waiting at most this long; `None` when somebody else had it all the time.
    pub(crate) fn take(path: &Path, byte: u32, timeout: Duration) -> io::Result<Option<Self>> {
        let file = LockFile::open_existing(path)?;
        let taken = file.lock_within(byte, timeout)?;
        Ok(taken.then_some(Self { file, byte }))
    }

    /// As [`Held::take`], and fails with `Interrupted` when the calling thread is interrupted.
    pub(crate) fn take_patiently(path: &Path, byte: u32, timeout: Duration) -> io::Result<Option<Self>> {
        let file = LockFile::open_existing(path)?;
        let taken = file.lock_patiently(byte, timeout)?;
        Ok(taken.then_some(Self { file, byte }))
    }
}

impl Held {
    /// Whether the byte is one of that file.
    pub(crate) fn is_of(&self, file: &LockFile) -> bool {
        self.file.is_same_file(file)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Before closing: a process being spawned may have a copy of the descriptor until its `exec`.
        let _ = self.file.unlock(self.byte);
    }
}
