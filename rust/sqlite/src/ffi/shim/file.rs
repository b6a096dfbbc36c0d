//! The file level: our object for a database file, and its callbacks.
//!
//! A callback never unwinds into C, and never fails because the recording does: whatever happens on our
//! side, the application's call goes on to the real file.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr::NonNull;

use super::super::api::SqliteApi;
use super::super::host_file::HostVfs;
use super::super::statements::Opener;
use super::super::types::{self, sqlite3, sqlite3_file, sqlite3_io_methods};
use super::RealFile;
use crate::rollback::Watch;

/// Bytes of our object in SQLite's memory. Small, so that memory accounting stays what it was.
pub(super) const SIZE: c_int = size_of::<ShimFile>() as c_int;

/// What lies in the memory that SQLite gave to xOpen.
#[repr(C)]
struct ShimFile {
    /// First, as SQLite requires; points into `inner`.
    methods: *const sqlite3_io_methods,
    inner: *mut Inner,
}

/// The rest of the object, on the heap.
struct Inner {
    /// Our callbacks where the real file has one, null where it has none: SQLite tests for null.
    methods: sqlite3_io_methods,
    /// The real file object, in `_memory`.
    real: NonNull<sqlite3_file>,
    _memory: Box<[u64]>,
    /// The VFS it was opened through.
    vfs: HostVfs,
    watched: Watch,
    /// Of the connection that has opened it, if it is alone in that.
    api: Option<SqliteApi>,
}

/// Opens a database file through the real VFS and puts our object in front of it.
///
/// # Safety
/// The arguments are those of an xOpen for SQLITE_OPEN_MAIN_DB with a name; `memory` has [`SIZE`] bytes.
pub(super) unsafe fn open(
    vfs: HostVfs,
    name: *const c_char,
    memory: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let (ours, real_vfs) = (memory.cast::<ShimFile>(), vfs.as_ptr());
    // SAFETY: by contract the memory is ours, and the name a C string.
    unsafe {
        (*ours).methods = std::ptr::null();
        (*ours).inner = std::ptr::null_mut();
        let (Ok(size), Some(open)) = (usize::try_from((*real_vfs).szOsFile), (*real_vfs).xOpen) else {
            return types::SQLITE_CANTOPEN;
        };
        let mut backing = vec![0_u64; size.div_ceil(8).max(1)].into_boxed_slice();
        let real = backing.as_mut_ptr().cast::<sqlite3_file>();
        let code = super::opening(|| open(real_vfs, name, real, flags, out));
        let Some(real) = NonNull::new(real) else { return types::SQLITE_NOMEM };
        if (*real.as_ptr()).pMethods.is_null() {
            // Nothing to close, so nothing for SQLite to close either.
            return code;
        }
        let path = Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
        let watched = catch_unwind(|| Watch::open(path)).unwrap_or_else(|_| Watch::unknown());
        let methods = table((*real.as_ptr()).pMethods);
        let api = super::api_of(vfs)
            .filter(|api| api.statements.is_some_and(|statements| !statements.asks_for_shared_cache(name)));
        let inner = Box::into_raw(Box::new(Inner { methods, real, _memory: backing, vfs, watched, api }));
        (*ours).inner = inner;
        (*ours).methods = &raw const (*inner).methods;
        code
    }
}

/// Our callbacks for a file with these methods. A slot that is null there is null here, and the version is
/// the same; slots past the version are not looked at, since an old struct ends before them.
///
/// # Safety
/// `real` is the method table of an open file.
unsafe fn table(real: *const sqlite3_io_methods) -> sqlite3_io_methods {
    // SAFETY: by contract; fields of later versions are read only if the version has them, and never through
    // a reference to the whole struct.
    unsafe {
        let version = (*real).iVersion;
        let second = version >= 2;
        let third = version >= 3;
        sqlite3_io_methods {
            iVersion: version.min(3),
            xClose: (*real).xClose.map(|_| close as _),
            xRead: (*real).xRead.map(|_| read as _),
            xWrite: (*real).xWrite.map(|_| write as _),
            xTruncate: (*real).xTruncate.map(|_| truncate as _),
            xSync: (*real).xSync.map(|_| sync as _),
            xFileSize: (*real).xFileSize.map(|_| file_size as _),
            xLock: (*real).xLock.map(|_| lock as _),
            xUnlock: (*real).xUnlock.map(|_| unlock as _),
            xCheckReservedLock: (*real).xCheckReservedLock.map(|_| check_reserved_lock as _),
            xFileControl: (*real).xFileControl.map(|_| file_control as _),
            xSectorSize: (*real).xSectorSize.map(|_| sector_size as _),
            xDeviceCharacteristics: (*real).xDeviceCharacteristics.map(|_| device_characteristics as _),
            xShmMap: if second { (*real).xShmMap.map(|_| shm_map as _) } else { None },
            xShmLock: if second { (*real).xShmLock.map(|_| shm_lock as _) } else { None },
            xShmBarrier: if second { (*real).xShmBarrier.map(|_| shm_barrier as _) } else { None },
            xShmUnmap: if second { (*real).xShmUnmap.map(|_| shm_unmap as _) } else { None },
            xFetch: if third { (*real).xFetch.map(|_| fetch as _) } else { None },
            xUnfetch: if third { (*real).xUnfetch.map(|_| unfetch as _) } else { None },
        }
    }
}

/// The heap half of our object.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed yet. SQLite uses a file from one thread at a time.
unsafe fn inner<'a>(file: *mut sqlite3_file) -> &'a Inner {
    // SAFETY: by contract; `open` put a valid pointer there before it set the methods.
    unsafe { &*(*file.cast::<ShimFile>()).inner }
}

/// Runs our side of a callback. A panic is a defect, but must not cross into C.
fn guarded(watched: &Watch, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        watched.defect();
    }
}

/// Takes the object apart, after the real file was closed.
unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite calls xClose once, as the last call on the file.
    unsafe {
        let ours = file.cast::<ShimFile>();
        let inner = Box::from_raw((*ours).inner);
        guarded(&inner.watched, || inner.watched.opened_by(None));
        let code = match (*(*inner.real.as_ptr()).pMethods).xClose {
            Some(close) => close(inner.real.as_ptr()),
            None => types::SQLITE_OK,
        };
        (*ours).methods = std::ptr::null();
        (*ours).inner = std::ptr::null_mut();
        guarded(&inner.watched, || inner.watched.closed());
        drop(inner);
        code
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, data: *const c_void, len: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite calls this slot of an open file, with `len` readable bytes.
    unsafe {
        let inner = inner(file);
        if inner.watched.is_recorded()
            && let (Ok(size), Ok(at)) = (usize::try_from(len), u64::try_from(offset))
            && !data.is_null()
        {
            let bytes = std::slice::from_raw_parts(data.cast::<u8>(), size);
            let mut real = RealFile::new(inner.real);
            guarded(&inner.watched, || inner.watched.before_write(&mut real, bytes, at));
        }
        match (*(*inner.real.as_ptr()).pMethods).xWrite {
            Some(call) => call(inner.real.as_ptr(), data, len, offset),
            None => types::SQLITE_IOERR,
        }
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: SQLite calls this slot of an open file.
    unsafe {
        let inner = inner(file);
        if inner.watched.is_recorded()
            && let Ok(to) = u64::try_from(size)
        {
            let mut real = RealFile::new(inner.real);
            guarded(&inner.watched, || inner.watched.before_truncate(&mut real, to));
        }
        match (*(*inner.real.as_ptr()).pMethods).xTruncate {
            Some(call) => call(inner.real.as_ptr(), size),
            None => types::SQLITE_IOERR,
        }
    }
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, op: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: SQLite calls this slot of an open file.
    unsafe {
        let inner = inner(file);
        if op == types::SQLITE_FCNTL_COMMIT_PHASETWO && inner.watched.is_recorded() {
            let mut real = RealFile::new(inner.real);
            guarded(&inner.watched, || inner.watched.committed(&mut real));
        }
        if op == types::SQLITE_FCNTL_SYNC {
            inner.watched.syncing();
        }
        if op == types::SQLITE_FCNTL_PRAGMA && !argument.is_null() {
            // Three strings: room for an answer, the pragma's name, and its argument, which may be null.
            let strings = argument.cast::<*const c_char>();
            let text = |place: *const c_char| {
                if place.is_null() { None } else { CStr::from_ptr(place).to_str().ok() }
            };
            if let (Some(name), Some(value)) = (text(*strings.add(1)), text(*strings.add(2))) {
                inner.watched.pragma(name, value);
            }
        }
        if op == types::SQLITE_FCNTL_PDB
            && let (Some(place), Some(api)) = (NonNull::new(argument.cast::<*mut sqlite3>()), inner.api)
        {
            guarded(&inner.watched, || inner.watched.opened_by(Some(Opener::new(place, api))));
        }
        match (*(*inner.real.as_ptr()).pMethods).xFileControl {
            Some(call) => call(inner.real.as_ptr(), op, argument),
            None => types::SQLITE_NOTFOUND,
        }
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite calls this slot of an open file.
    unsafe {
        let inner = inner(file);
        let code = match (*(*inner.real.as_ptr()).pMethods).xLock {
            Some(call) => call(inner.real.as_ptr(), level),
            None => types::SQLITE_IOERR,
        };
        if code == types::SQLITE_OK {
            guarded(&inner.watched, || inner.watched.locked(level));
        }
        code
    }
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite calls this slot of an open file.
    unsafe {
        let inner = inner(file);
        if inner.watched.is_recorded() {
            let mut real = RealFile::new(inner.real);
            guarded(&inner.watched, || inner.watched.unlocking(&mut real, level, inner.vfs));
        }
        let code = match (*(*inner.real.as_ptr()).pMethods).xUnlock {
            Some(call) => call(inner.real.as_ptr(), level),
            None => types::SQLITE_IOERR,
        };
        guarded(&inner.watched, || inner.watched.unlocked(level));
        code
    }
}

/// A callback that does nothing but hand the call to the real file.
macro_rules! forward {
    ($($name:ident = $slot:ident($($arg:ident: $type:ty),*) -> $result:ty, or $missing:expr;)+) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($arg: $type),*) -> $result {
            // SAFETY: SQLite calls this slot of an open file; `table` filled it because the real one has it.
            unsafe {
                let real = inner(file).real.as_ptr();
                match (*(*real).pMethods).$slot {
                    Some(call) => call(real, $($arg),*),
                    None => $missing,
                }
            }
        }
    )+};
}

forward! {
    read = xRead(out: *mut c_void, len: c_int, offset: i64) -> c_int, or types::SQLITE_IOERR;
    sync = xSync(flags: c_int) -> c_int, or types::SQLITE_IOERR;
    file_size = xFileSize(out: *mut i64) -> c_int, or types::SQLITE_IOERR;
    check_reserved_lock = xCheckReservedLock(out: *mut c_int) -> c_int, or types::SQLITE_IOERR;
    sector_size = xSectorSize() -> c_int, or 0;
    device_characteristics = xDeviceCharacteristics() -> c_int, or 0;
    shm_map = xShmMap(region: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int,
        or types::SQLITE_IOERR;
    shm_lock = xShmLock(first: c_int, count: c_int, flags: c_int) -> c_int, or types::SQLITE_IOERR;
    shm_barrier = xShmBarrier() -> (), or ();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int, or types::SQLITE_OK;
    fetch = xFetch(offset: i64, len: c_int, out: *mut *mut c_void) -> c_int, or types::SQLITE_IOERR;
    unfetch = xUnfetch(offset: i64, page: *mut c_void) -> c_int, or types::SQLITE_OK;
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn plain(_: *mut sqlite3_file) -> c_int {
        7
    }

    fn methods(version: c_int) -> sqlite3_io_methods {
        sqlite3_io_methods {
            iVersion: version,
            xClose: Some(plain),
            xRead: None,
            xWrite: None,
            xTruncate: None,
            xSync: None,
            xFileSize: None,
            xLock: None,
            xUnlock: None,
            xCheckReservedLock: None,
            xFileControl: None,
            xSectorSize: Some(plain),
            xDeviceCharacteristics: None,
            xShmMap: None,
            xShmLock: None,
            xShmBarrier: Some(shm_barrier),
            xShmUnmap: None,
            xFetch: None,
            xUnfetch: None,
        }
    }

    /// SQLite asks whether a file can do something by looking for null.
    #[test]
    fn null_slots_stay_null() {
        let (first, second) = (methods(1), methods(2));
        // SAFETY: both are complete tables.
        let (first, second) = unsafe { (table(&raw const first), table(&raw const second)) };
        assert_eq!((first.iVersion, second.iVersion), (1, 2));
        assert!(first.xClose.is_some() && first.xSectorSize.is_some());
        assert!(first.xWrite.is_none() && first.xLock.is_none() && first.xFileControl.is_none());
        assert!(first.xShmBarrier.is_none(), "past the version nothing is looked at");
        assert!(second.xShmBarrier.is_some() && second.xShmMap.is_none() && second.xFetch.is_none());
    }

    /// The object in SQLite's memory fits where any VFS's would.
    #[test]
    fn object_is_small() {
        assert_eq!(SIZE, 16);
    }
}
