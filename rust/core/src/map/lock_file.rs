use std::fs::{Metadata, OpenOptions};
use std::io;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::interrupt::Patience;
use crate::map::fork::{self, Generation};
use crate::map::os_linux;

/// A descriptor of the lock file. What it locks is its own: not shared with other descriptors of
/// the same file in this process, hence good between threads too, and not lost when they are closed.
#[derive(Debug)]
pub(crate) struct LockFile {
    fd: RawFd,
    generation: Generation,
    id: FileNumber,
}

/// Device and inode.
type FileNumber = (u64, u64);

impl LockFile {
    /// Opens the file, or creates an empty one.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, OpenOptions::new().create(true).truncate(false))
    }

    /// Opens the file, which must be there.
    pub(crate) fn open_existing(path: &Path) -> io::Result<Self> {
        Self::open_with(path, &mut OpenOptions::new())
    }

    fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<Self> {
        let generation = Generation::now()?;
        let mut id = (0, 0);
        let fd = fork::listed(|| {
            let file = options.read(true).write(true).open(path)?;
            id = number(&file.metadata()?);
            Ok(file.into_raw_fd())
        })?;
        Ok(Self { fd, generation, id })
    }

    /// Whether the other one is open on the same file.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// Whether the path still leads to this file.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|found| number(&found) == self.id)
    }

    /// Takes a byte; `false` when somebody else has it.
    pub(crate) fn try_lock(&self, byte: u32) -> io::Result<bool> {
        self.mine()?;
        os_linux::try_lock(self.fd, byte)
    }

    /// Takes a byte together with others who do, waiting at most this long for somebody who has it for himself.
    pub(crate) fn share_within(&self, byte: u32, timeout: Duration) -> io::Result<bool> {
        self.mine()?;
        retry(timeout, || os_linux::try_share(self.fd, byte), || false)
    }

    /// Takes a byte, waiting at most this long; `false` when somebody else had it all the time.
    pub(crate) fn lock_within(&self, byte: u32, timeout: Duration) -> io::Result<bool> {
        retry(timeout, || self.try_lock(byte), || false)
    }

    /// As [`LockFile::lock_within`], and stops waiting when it is not `needed` any more: `false` then, too. `TimedOut` when somebody else had it
    /// all the time.
    pub(crate) fn lock_while(
        &self,
        byte: u32,
        timeout: Duration,
        needed: impl Fn() -> bool,
    ) -> io::Result<bool> {
        let mut taken = false;
        let attempt = || {
            if needed() {
                taken = self.try_lock(byte)?;
                return Ok(taken);
            }
            Ok(true)
        };
        if retry(timeout, attempt, || false)? { Ok(taken) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    /// As [`LockFile::lock_within`], and fails with `Interrupted` when the calling thread is interrupted.
    pub(crate) fn lock_patiently(&self, byte: u32, timeout: Duration) -> io::Result<bool> {
        let mut patience: Option<Patience> = None;
        retry(timeout, || self.try_lock(byte), || patience.get_or_insert_default().is_over())
    }

    /// Lets a byte go.
    pub(crate) fn unlock(&self, byte: u32) -> io::Result<()> {
        self.mine()?;
        os_linux::unlock(self.fd, byte)
    }

    /// Whether somebody else has one of these bytes.
    pub(crate) fn locked_elsewhere(&self, byte: u32, count: u32) -> io::Result<bool> {
        self.mine()?;
        os_linux::locked_elsewhere(self.fd, byte, count)
    }

    /// In a child the descriptor is closed already, and its number may be another file's.
    fn mine(&self) -> io::Result<()> {
        if self.generation.forked() { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
    }
}

/// Tries until it works, at most this long; and notices that it would have worked by an eighth too late, or a few times what the system takes
/// for the shortest pause.
fn retry(
    timeout: Duration,
    mut attempt: impl FnMut() -> io::Result<bool>,
    mut give_up: impl FnMut() -> bool,
) -> io::Result<bool> {
    const SHORTEST: Duration = Duration::from_micros(20);
    const LONGEST: Duration = Duration::from_millis(1);
    let mut began = None;
    loop {
        if attempt()? {
            return Ok(true);
        }
        let now = Instant::now();
        let waited = now.saturating_duration_since(*began.get_or_insert(now));
        let left = timeout.saturating_sub(waited);
        if left.is_zero() {
            return Ok(false);
        }
        if give_up() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        std::thread::sleep((waited / 8).clamp(SHORTEST, LONGEST).min(left));
    }
}

fn number(file: &Metadata) -> FileNumber {
    (file.dev(), file.ino())
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if !self.generation.forked() {
            fork::close_listed(self.fd);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn two_descriptors_of_one_process_exclude_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks");
        let (one, two) = (LockFile::open(&path).unwrap(), LockFile::open(&path).unwrap());
        assert!(one.try_lock(5).unwrap());
        assert!(!two.try_lock(5).unwrap());
        assert!(two.locked_elsewhere(5, 1).unwrap());
        assert!(!one.locked_elsewhere(5, 1).unwrap());
        assert!(two.try_lock(6).unwrap());
        assert!(!two.lock_within(5, Duration::from_millis(3)).unwrap());
        drop(std::fs::File::open(&path).unwrap());
        assert!(!two.try_lock(5).unwrap(), "closing another descriptor must not drop the lock");
        one.unlock(5).unwrap();
        assert!(two.try_lock(5).unwrap());
        drop(two);
        assert!(one.try_lock(5).unwrap());
    }

    #[test]
    fn who_waits_for_a_byte_stops_when_it_is_not_needed_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks");
        let (one, two) = (LockFile::open(&path).unwrap(), LockFile::open(&path).unwrap());
        let long = Duration::from_secs(3600);
        assert!(!two.lock_while(5, long, || false).unwrap(), "nobody has it, and nobody needs it");
        assert!(one.try_lock(5).unwrap());
        let looks = Cell::new(0);
        let needed = || {
            looks.set(looks.get() + 1);
            looks.get() < 7
        };
        assert!(!two.lock_while(5, long, needed).unwrap());
        assert_eq!(looks.get(), 7);
        let late = two.lock_while(5, Duration::from_millis(3), || true).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        one.unlock(5).unwrap();
        assert!(two.lock_while(5, long, || true).unwrap());
        assert!(!one.try_lock(5).unwrap());
    }
}
