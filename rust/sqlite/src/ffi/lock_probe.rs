use std::ffi::{c_int, c_void};
use std::num::NonZeroI32;
use std::os::fd::RawFd;
use std::path::Path;
use std::ptr::NonNull;

use super::types::{sqlite3_file, sqlite3_io_methods, sqlite3_vfs};
use crate::file::FileId;

/// The VFS whose locks are the kernel's, held by the process.
const UNIX: &[u8] = b"unix";
/// SQLite's lock bytes: PENDING, RESERVED, and those of SHARED.
const FIRST: libc::off_t = 0x4000_0000;
const COUNT: libc::off_t = 2 + 510;

/// How a file object of the unix VFS begins, in every SQLite since 3.7.
#[repr(C)]
struct UnixFile {
    methods: *const sqlite3_io_methods,
    vfs: *const sqlite3_vfs,
    inode: *const c_void,
    descriptor: c_int,
}

/// Asks the kernel whether anybody, in this process or another one, holds one of SQLite's locks on a database file, without taking one: a
/// lock that is taken to find out is in the way of whoever wants one in that instant, and takes seven calls for this one.
///
/// The kernel asks on behalf of a descriptor (`F_OFD_GETLK`), which owns none of the locks: those are the process's. One that we opened ourselves we could
/// never close, since that would cost the process all of SQLite's locks on the file. So it is SQLite's own, of a file object that is ours and open.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockProbe(NonZeroI32);

impl LockProbe {
    /// For a file object that `vfs`, named so, has just opened, of `size` bytes. `None`: it is not that of the unix VFS as we know it.
    ///
    /// # Safety
    /// The object has `size` readable bytes. The probe is not used after it is closed.
    pub(super) unsafe fn of(
        file: NonNull<sqlite3_file>,
        size: usize,
        vfs: NonNull<sqlite3_vfs>,
        name: &[u8],
        path: &Path,
    ) -> Option<Self> {
        if name != UNIX || size < size_of::<UnixFile>() {
            return None;
        }
        // SAFETY: so many bytes are readable, aligned as SQLite's allocator does it; pointers and integers may have any value, and of the
        // pointers none is followed.
        let found = unsafe { file.cast::<UnixFile>().read() };
        // It tells where it comes from, and what it says to be open is what is at the path: else it is another layout. It is never one of the
        // standard streams.
        let is_known =
            std::ptr::eq(found.vfs, vfs.as_ptr()) && is_of(found.descriptor, FileId::of(path).ok()?);
        NonZeroI32::new(found.descriptor).filter(|_| is_known).map(Self)
    }

    /// Whether nobody holds any. `None`: the kernel does not say.
    pub(super) fn is_unlocked(self) -> Option<bool> {
        // SAFETY: all fields are integers, for which zero is a value; OFD locks demand l_pid = 0.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = i16::try_from(libc::F_WRLCK).ok()?;
        range.l_whence = i16::try_from(libc::SEEK_SET).ok()?;
        (range.l_start, range.l_len) = (FIRST, COUNT);
        // SAFETY: this command reads and writes one `flock`.
        let done = unsafe { libc::fcntl(self.0.get(), libc::F_OFD_GETLK, &raw mut range) };
        (done == 0).then_some(c_int::from(range.l_type) == libc::F_UNLCK)
    }
}

/// Whether a descriptor leads to this file.
fn is_of(descriptor: RawFd, file: FileId) -> bool {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is valid for the write; what is no descriptor is an error.
    let done = unsafe { libc::fstat(descriptor, &raw mut found) };
    done == 0 && (found.st_dev, found.st_ino) == (file.device, file.inode)
}

#[cfg(all(test, feature = "bundled"))]
#[allow(clippy::unwrap_used, reason = "helpers of tests")]
mod tests {
    use super::super::{HostFile, HostVfs, LockLevel, SqliteApi};

    #[test]
    fn sees_each_lock_of_this_process_and_takes_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let c = rusqlite::Connection::open(&path).unwrap();
        c.execute_batch("create table t(v); insert into t values (1)").unwrap();
        let open = |vfs: &str| {
            let vfs = HostVfs::find(&SqliteApi::bundled(), Some(vfs)).unwrap();
            HostFile::open(vfs, &path).unwrap()
        };
        let mut file = open("unix");
        assert_eq!(file.is_unlocked(), Some(true));
        for begin in ["begin; select * from t", "begin immediate", "begin exclusive"] {
            c.execute_batch(begin).unwrap();
            assert_eq!(file.is_unlocked(), Some(false), "{begin}");
            c.execute_batch("commit").unwrap();
            assert_eq!(file.is_unlocked(), Some(true), "after {begin}");
        }
        file.lock(LockLevel::Shared).unwrap();
        assert_eq!(open("unix").is_unlocked(), Some(false), "our own");
        file.unlock(LockLevel::None).unwrap();
        // Its locks are not the kernel's.
        assert_eq!(open("unix-dotfile").is_unlocked(), None);
    }
}
