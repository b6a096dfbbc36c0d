//! SQLite's locks in the wal-index, taken for the length of a closure, and who holds one that we want.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::core::Core;
use crate::error::Error;
use crate::ffi::{HostFile, ShmLock, VfsError};

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
        let result = work(self);
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

/// Who holds a lock of the wal-index, from the kernel's list: "process 17 (python3)".
fn holder_of(database: &Path, lock: u8) -> Option<String> {
    let mut shm = database.as_os_str().to_owned();
    shm.push("-shm");
    let inode = std::fs::metadata(Path::new(&shm)).ok()?.ino();
    let byte = FIRST_BYTE + u64::from(lock);
    let list = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = list.lines().find_map(|line| holder_in(line, inode, byte))?;
    if pid == std::process::id() {
        return Some("a connection in this process".to_owned());
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("process {pid} ({})", name.trim()))
}

/// A line is like `1: POSIX  ADVISORY  WRITE 1234 08:01:5678 120 120`.
fn holder_in(line: &str, inode: u64, byte: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "POSIX" {
        return None;
    }
    let pid = words.nth(2)?.parse().ok()?;
    let file: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
    let start: u64 = words.next()?.parse().ok()?;
    let end: u64 = words.next()?.parse().ok()?;
    (file == inode && (start..=end).contains(&byte)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernels_list_names_the_process() {
        let line = "1: POSIX  ADVISORY  WRITE 1234 08:01:5678 120 121";
        assert_eq!(holder_in(line, 5678, 121), Some(1234));
        assert_eq!(holder_in(line, 5678, 122), None);
        assert_eq!(holder_in(line, 5679, 120), None);
        assert_eq!(holder_in("1: -> POSIX ADVISORY WRITE 9 08:01:5678 120 120", 5678, 120), None);
        assert_eq!(holder_in("1: POSIX ADVISORY WRITE 9 08:01:5678 0 EOF", 5678, 120), None);
    }
}
