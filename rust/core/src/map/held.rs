use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::map::LockFile;

/// One byte of the lock file, held through a descriptor of its own until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// Always there, until dropped.
    file: Option<LockFile>,
    byte: u32,
    /// Where the descriptor goes afterwards.
    idle: Option<Arc<IdleLockFiles>>,
}

impl Held {
    /// Takes a byte, waiting at most this long; `None` when somebody else had it all the time.
    pub(crate) fn take(path: &Path, byte: u32, timeout: Duration) -> io::Result<Option<Self>> {
        let file = LockFile::open_existing(path)?;
        let taken = file.lock_within(byte, timeout)?;
        Ok(taken.then_some(Self { file: Some(file), byte, idle: None }))
    }
}

impl Held {
    /// As [`Held::take`], and stops waiting when it is not `needed` any more: `None` then. `TimedOut` when somebody else had it all the time.
    pub(crate) fn take_while(
        path: &Path,
        byte: u32,
        timeout: Duration,
        needed: impl Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let file = LockFile::open_existing(path)?;
        let taken = file.lock_while(byte, timeout, needed)?;
        Ok(taken.then_some(Self { file: Some(file), byte, idle: None }))
    }
}

impl Held {
    /// As [`Held::take`], and fails with `Interrupted` when the calling thread is interrupted.
    pub(crate) fn take_patiently(path: &Path, byte: u32, timeout: Duration) -> io::Result<Option<Self>> {
        let file = LockFile::open_existing(path)?;
        let taken = file.lock_patiently(byte, timeout)?;
        Ok(taken.then_some(Self { file: Some(file), byte, idle: None }))
    }
}

impl Held {
    /// Takes a byte together with others who do, waiting at most this long for somebody who has it for himself.
    pub(crate) fn share(path: &Path, byte: u32, timeout: Duration) -> io::Result<Option<Self>> {
        let file = LockFile::open_existing(path)?;
        let taken = file.share_within(byte, timeout)?;
        Ok(taken.then_some(Self { file: Some(file), byte, idle: None }))
    }
}

impl Held {
    /// Lets others share the byte from now on, without letting it go in between.
    pub(crate) fn admit_others(&self) -> io::Result<()> {
        let shared = self
            .file
            .as_ref()
            .is_none_or(|file| file.share_within(self.byte, Duration::ZERO).unwrap_or(false));
        if shared { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        // Before closing: a process being spawned may have a copy of the descriptor until its `exec`.
        let unlocked = file.unlock(self.byte);
        if let (Ok(()), Some(idle)) = (unlocked, self.idle.take()) {
            idle.put(file);
        }
    }
}

/// Descriptors of the lock file that nobody holds anything through: opening one anew takes longer than a lock.
#[derive(Debug)]
pub(crate) struct IdleLockFiles {
    path: PathBuf,
    idle: Mutex<Vec<LockFile>>,
}

impl IdleLockFiles {
    /// None yet.
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::new(Vec::new()) })
    }

    /// As [`Held::take`], and fails with `Interrupted` when the calling thread is interrupted. `NotFound` when the
    /// path does not lead to the file `of` any more: the lock of another one excludes nobody here.
    pub(crate) fn take(
        self: &Arc<Self>,
        of: &LockFile,
        byte: u32,
        timeout: Duration,
    ) -> io::Result<Option<Held>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let file = match idle {
            Some(file) => file,
            None => LockFile::open_existing(&self.path)?,
        };
        if !file.is_same_file(of) || !file.is_at(&self.path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !file.lock_patiently(byte, timeout)? {
            self.put(file);
            return Ok(None);
        }
        Ok(Some(Held { file: Some(file), byte, idle: Some(Arc::clone(self)) }))
    }

    fn put(&self, file: LockFile) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }
}
