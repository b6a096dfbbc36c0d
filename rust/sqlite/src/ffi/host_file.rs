use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use dbrewind_core::Patience;

use super::api::SqliteApi;
use super::lock_probe::LockProbe;
use super::types::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};
use super::wal_index::Region;

/// What a VFS call answered when it was not OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum VfsError {
    /// Somebody else holds a lock that excludes this one. Nothing has changed.
    #[error("locked by another connection")]
    Busy,
    /// The caller asked to end the wait. Nothing has changed.
    #[error("interrupted")]
    Interrupted,
    /// The file ended before the read did; the rest of the buffer is zeros.
    #[error("the file is shorter than the read")]
    ShortRead,
    /// Any other result code of SQLite.
    #[error("SQLite result code {0}")]
    Code(c_int),
}

impl VfsError {
    pub(super) fn check(code: c_int) -> Result<(), Self> {
        match code {
            types::SQLITE_OK => Ok(()),
            types::SQLITE_IOERR_SHORT_READ => Err(Self::ShortRead),
            code if code & 0xff == types::SQLITE_BUSY => Err(Self::Busy),
            code => Err(Self::Code(code)),
        }
    }
}

/// A VFS of the host's SQLite. The struct belongs to SQLite and lives as long as the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostVfs {
    raw: NonNull<sqlite3_vfs>,
}

// SAFETY: a registered VFS is process-wide by SQLite's contract; its methods may be called from any thread.
unsafe impl Send for HostVfs {}
// SAFETY: as above.
unsafe impl Sync for HostVfs {}

impl HostVfs {
    /// The VFS with this name, or the default one. `None`: there is none.
    pub(crate) fn find(api: &SqliteApi, name: Option<&str>) -> Option<Self> {
        let name = match name {
            Some(name) => Some(CString::new(name).ok()?),
            None => None,
        };
        let pointer = name.as_ref().map_or(std::ptr::null(), |n| n.as_ptr());
        // SAFETY: null or a NUL-terminated string that outlives the call.
        let raw = unsafe { (api.vfs_find)(pointer) };
        NonNull::new(raw).map(|raw| Self { raw })
    }

    /// A struct that is never freed and will be registered before it is used.
    pub(super) fn leaked(raw: NonNull<sqlite3_vfs>) -> Self {
        Self { raw }
    }

    /// The name it is registered under.
    pub(crate) fn name(self) -> &'static CStr {
        // SAFETY: a registered VFS, and its name, stay valid for the life of the process.
        unsafe { CStr::from_ptr((*self.raw.as_ptr()).zName) }
    }

    /// The raw struct, for the shim that wraps it.
    pub(crate) fn as_ptr(self) -> *mut sqlite3_vfs {
        self.raw.as_ptr()
    }
}

/// SQLite's lock levels on the database file. PENDING is passed through on the way to `Exclusive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LockLevel {
    /// No lock.
    None,
    /// Readers.
    Shared,
    /// The one that is going to write.
    Reserved,
    /// The one that writes.
    Exclusive,
}

impl LockLevel {
    fn raw(self) -> c_int {
        match self {
            Self::None => types::SQLITE_LOCK_NONE,
            Self::Shared => types::SQLITE_LOCK_SHARED,
            Self::Reserved => types::SQLITE_LOCK_RESERVED,
            Self::Exclusive => types::SQLITE_LOCK_EXCLUSIVE,
        }
    }
}

/// How a lock byte of the wal-index is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShmLock {
    /// Together with other sharers.
    Shared,
    /// Alone.
    Exclusive,
}

impl ShmLock {
    fn raw(self) -> c_int {
        match self {
            Self::Shared => types::SQLITE_SHM_SHARED,
            Self::Exclusive => types::SQLITE_SHM_EXCLUSIVE,
        }
    }
}

/// Our own handle on a database file, opened through the host's VFS.
///
/// Opening and closing the file any other way inside the process would drop the locks that SQLite holds on
/// it (POSIX locks belong to the process, not to the descriptor). All methods of the VFS's file object,
/// none of SQLite's pager above it. One thread at a time: `&mut self` throughout.
#[derive(Debug)]
pub(crate) struct HostFile {
    file: NonNull<sqlite3_file>,
    methods: NonNull<sqlite3_io_methods>,
    /// Backing memory of the file object, 8-aligned as SQLite's own allocator guarantees.
    _memory: Box<[u64]>,
    /// SQLite keeps the pointer to the name; an empty list of URI parameters follows its NUL.
    _name: Box<[u8]>,
    mapped: bool,
    /// `None`: not with this VFS.
    probe: Option<LockProbe>,
}

// SAFETY: the unix VFS allows a file object to be used from any thread, one at a time; `&mut self` grants that.
unsafe impl Send for HostFile {}

impl HostFile {
    /// Opens the existing database at `path`, an absolute path, through `vfs` for reading and writing.
    pub(crate) fn open(vfs: HostVfs, path: &Path) -> Result<Self, VfsError> {
        let flags = types::SQLITE_OPEN_MAIN_DB | types::SQLITE_OPEN_READWRITE;
        // SAFETY: the struct is registered, hence valid for the life of the process.
        let (size, open) = unsafe { ((*vfs.as_ptr()).szOsFile, (*vfs.as_ptr()).xOpen) };
        let (Ok(size), Some(open)) = (usize::try_from(size), open) else {
            return Err(VfsError::Code(types::SQLITE_CANTOPEN));
        };
        let mut memory = vec![0_u64; size.div_ceil(8).max(1)].into_boxed_slice();
        // SQLite's URI helpers look at the four bytes before a name, and past its NUL for parameters.
        let mut name = vec![0_u8; 4];
        name.extend_from_slice(path.as_os_str().as_bytes());
        name.extend_from_slice(&[0; 4]);
        let name = name.into_boxed_slice();
        let file = memory.as_mut_ptr().cast::<sqlite3_file>();
        let mut out = 0;
        // SAFETY: `file` points at szOsFile zeroed, aligned bytes; the name is NUL-terminated. Both live in the
        // returned value, at stable heap addresses, until after xClose.
        let code = unsafe { open(vfs.as_ptr(), name.as_ptr().add(4).cast(), file, flags, &raw mut out) };
        // SAFETY: xOpen sets pMethods, to null if there is nothing to close; the memory was zeroed before.
        let methods = unsafe { (*file).pMethods };
        let (Some(file), Some(methods)) = (NonNull::new(file), NonNull::new(methods.cast_mut())) else {
            VfsError::check(code)?;
            return Err(VfsError::Code(types::SQLITE_CANTOPEN));
        };
        // From here on drop closes the file, also when the open failed half-way.
        let mut opened = Self { file, methods, _memory: memory, _name: name, mapped: false, probe: None };
        VfsError::check(code)?;
        if out & types::SQLITE_OPEN_READONLY != 0 {
            return Err(VfsError::Code(types::SQLITE_READONLY));
        }
        // SAFETY: the object is open, has so many bytes, and is closed no sooner than the probe is dropped.
        opened.probe = unsafe { LockProbe::of(file, size, vfs.raw, vfs.name().to_bytes(), path) };
        Ok(opened)
    }

    fn methods(&self) -> &sqlite3_io_methods {
        // SAFETY: set by xOpen; method tables outlive the file they belong to.
        unsafe { self.methods.as_ref() }
    }

    const MISSING: VfsError = VfsError::Code(types::SQLITE_NOTFOUND);

    /// Reads exactly `buffer.len()` bytes at `offset`; past the end the rest is zeros and `ShortRead`.
    pub(crate) fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), VfsError> {
        let read = self.methods().xRead.ok_or(Self::MISSING)?;
        let (len, offset) = span(buffer.len(), offset)?;
        // SAFETY: the file is open; the buffer is valid for `len` bytes.
        VfsError::check(unsafe { read(self.file.as_ptr(), buffer.as_mut_ptr().cast(), len, offset) })
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), VfsError> {
        let write = self.methods().xWrite.ok_or(Self::MISSING)?;
        let (len, offset) = span(bytes.len(), offset)?;
        // SAFETY: the file is open; the bytes are valid for `len`.
        VfsError::check(unsafe { write(self.file.as_ptr(), bytes.as_ptr().cast(), len, offset) })
    }

    /// Cuts or grows the file to `size` bytes.
    pub(crate) fn truncate(&mut self, size: u64) -> Result<(), VfsError> {
        let truncate = self.methods().xTruncate.ok_or(Self::MISSING)?;
        let (_, size) = span(0, size)?;
        // SAFETY: the file is open.
        VfsError::check(unsafe { truncate(self.file.as_ptr(), size) })
    }

    /// Makes the file's content durable.
    pub(crate) fn sync(&mut self) -> Result<(), VfsError> {
        let sync = self.methods().xSync.ok_or(Self::MISSING)?;
        // SAFETY: the file is open.
        VfsError::check(unsafe { sync(self.file.as_ptr(), types::SQLITE_SYNC_NORMAL) })
    }

    /// Size in bytes.
    pub(crate) fn size(&mut self) -> Result<u64, VfsError> {
        let get = self.methods().xFileSize.ok_or(Self::MISSING)?;
        let mut size = 0;
        // SAFETY: the file is open; `size` is valid for the write.
        VfsError::check(unsafe { get(self.file.as_ptr(), &raw mut size) })?;
        u64::try_from(size).map_err(|_| VfsError::Code(types::SQLITE_IOERR))
    }

    /// Tries once to raise the lock to `level`. On `Busy` a PENDING lock may remain when `level` is
    /// EXCLUSIVE: wanted, since it keeps new readers out while we try again. `unlock` drops it.
    pub(crate) fn lock(&mut self, level: LockLevel) -> Result<(), VfsError> {
        let lock = self.methods().xLock.ok_or(Self::MISSING)?;
        // SAFETY: the file is open.
        VfsError::check(unsafe { lock(self.file.as_ptr(), level.raw()) })
    }

    /// Lowers the lock to `level`, which is `Shared` or `None`.
    pub(crate) fn unlock(&mut self, level: LockLevel) -> Result<(), VfsError> {
        let unlock = self.methods().xUnlock.ok_or(Self::MISSING)?;
        // SAFETY: the file is open.
        VfsError::check(unsafe { unlock(self.file.as_ptr(), level.raw()) })
    }

    /// Whether nobody has any lock on the file, this handle included, as far as the kernel knows them; asked without taking one. `None`: with
    /// this VFS only taking one tells.
    pub(crate) fn is_unlocked(&self) -> Option<bool> {
        self.probe?.is_unlocked()
    }

    /// Whether somebody holds RESERVED or more.
    pub(crate) fn reserved_elsewhere(&mut self) -> Result<bool, VfsError> {
        let check = self.methods().xCheckReservedLock.ok_or(Self::MISSING)?;
        let mut held = 0;
        // SAFETY: the file is open; `held` is valid for the write.
        VfsError::check(unsafe { check(self.file.as_ptr(), &raw mut held) })?;
        Ok(held != 0)
    }

    /// Whether the file at the path is no longer the one that is open.
    pub(crate) fn has_moved(&mut self) -> Result<bool, VfsError> {
        let control = self.methods().xFileControl.ok_or(Self::MISSING)?;
        let mut moved: c_int = 0;
        let argument: *mut c_void = (&raw mut moved).cast();
        // SAFETY: the file is open; this control writes one int.
        VfsError::check(unsafe { control(self.file.as_ptr(), types::SQLITE_FCNTL_HAS_MOVED, argument) })?;
        Ok(moved != 0)
    }

    /// Maps region `index` of the wal-index, creating it if need be. The region stays mapped until
    /// [`HostFile::shm_unmap`] or drop; no copy of it may be used past them.
    pub(crate) fn shm_region(&mut self, index: u32) -> Result<Region, VfsError> {
        let map = self.methods().xShmMap.ok_or(Self::MISSING)?;
        let size = c_int::try_from(Region::SIZE).unwrap_or(c_int::MAX);
        let index = c_int::try_from(index).map_err(|_| VfsError::Code(types::SQLITE_IOERR))?;
        let mut address: *mut c_void = std::ptr::null_mut();
        // SAFETY: the file is open and `address` is valid for the write.
        VfsError::check(unsafe { map(self.file.as_ptr(), index, size, 1, &raw mut address) })?;
        self.mapped = true;
        // SAFETY: the VFS answered with a shared mapping of Region::SIZE bytes that lives until xShmUnmap.
        unsafe { Region::new(address) }.ok_or(VfsError::Code(types::SQLITE_IOERR))
    }

    /// Tries once to lock `count` bytes of the wal-index from byte `first` (0 WRITE, 1 CKPT, 2 RECOVER,
    /// 3 + i READ i). Shared locks take one byte at a time.
    pub(crate) fn shm_lock(&mut self, first: u8, count: u8, how: ShmLock) -> Result<(), VfsError> {
        self.shm(first, count, types::SQLITE_SHM_LOCK | how.raw())
    }

    /// Gives the same bytes back.
    pub(crate) fn shm_unlock(&mut self, first: u8, count: u8, how: ShmLock) -> Result<(), VfsError> {
        self.shm(first, count, types::SQLITE_SHM_UNLOCK | how.raw())
    }

    fn shm(&mut self, first: u8, count: u8, flags: c_int) -> Result<(), VfsError> {
        let lock = self.methods().xShmLock.ok_or(Self::MISSING)?;
        if !self.mapped {
            return Err(VfsError::Code(types::SQLITE_IOERR));
        }
        // SAFETY: the file is open and its wal-index mapped, which xShmLock requires.
        VfsError::check(unsafe { lock(self.file.as_ptr(), c_int::from(first), c_int::from(count), flags) })
    }

    /// A full memory barrier as the VFS defines it.
    pub(crate) fn shm_barrier(&mut self) {
        if let Some(barrier) = self.methods().xShmBarrier {
            // SAFETY: the file is open.
            unsafe { barrier(self.file.as_ptr()) }
        }
    }

    /// Unmaps the wal-index without deleting it; every [`Region`] of this file must be out of use.
    pub(crate) fn shm_unmap(&mut self) -> Result<(), VfsError> {
        if !self.mapped {
            return Ok(());
        }
        self.mapped = false;
        let unmap = self.methods().xShmUnmap.ok_or(Self::MISSING)?;
        // SAFETY: the file is open.
        VfsError::check(unsafe { unmap(self.file.as_ptr(), 0) })
    }

    /// Unmaps the wal-index and deletes it, when nobody else in the process has it mapped. Only for the last
    /// user in any process; every [`Region`] of this file must be out of use.
    pub(crate) fn shm_remove(&mut self) -> Result<(), VfsError> {
        if !self.mapped {
            return Ok(());
        }
        self.mapped = false;
        let unmap = self.methods().xShmUnmap.ok_or(Self::MISSING)?;
        // SAFETY: the file is open.
        VfsError::check(unsafe { unmap(self.file.as_ptr(), 1) })
    }

    /// Calls `attempt` until it is not `Busy` or the time is over: at once, then with pauses of 20 us
    /// doubling to 2 ms.
    pub(crate) fn retry<T>(
        timeout: Duration,
        attempt: impl FnMut() -> Result<T, VfsError>,
    ) -> Result<T, VfsError> {
        Self::retry_until(timeout, || false, attempt)
    }

    /// As [`HostFile::retry`], and `Interrupted` when the calling thread is. For waits after which nothing has
    /// changed yet.
    pub(crate) fn retry_patiently<T>(
        timeout: Duration,
        attempt: impl FnMut() -> Result<T, VfsError>,
    ) -> Result<T, VfsError> {
        let mut patience: Option<Patience> = None;
        Self::retry_until(timeout, || patience.get_or_insert_default().is_over(), attempt)
    }

    /// As [`HostFile::retry`], and `Interrupted` when this answers yes after a refusal.
    pub(crate) fn retry_until<T>(
        timeout: Duration,
        mut give_up: impl FnMut() -> bool,
        mut attempt: impl FnMut() -> Result<T, VfsError>,
    ) -> Result<T, VfsError> {
        let started = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            match attempt() {
                Err(VfsError::Busy) if started.elapsed() < timeout => {
                    if give_up() {
                        return Err(VfsError::Interrupted);
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(2));
                }
                other => return other,
            }
        }
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the locks go with the file in any case.
        let _ = self.shm_unmap();
        let _ = self.unlock(LockLevel::None);
        if let Some(close) = self.methods().xClose {
            // SAFETY: the file is open, and nobody uses it after this.
            unsafe { close(self.file.as_ptr()) };
        }
    }
}

pub(super) fn span(len: usize, offset: u64) -> Result<(c_int, i64), VfsError> {
    match (c_int::try_from(len), i64::try_from(offset)) {
        (Ok(len), Ok(offset)) => Ok((len, offset)),
        _ => Err(VfsError::Code(types::SQLITE_IOERR)),
    }
}
