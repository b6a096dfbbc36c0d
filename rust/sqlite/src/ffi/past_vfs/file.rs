//! The file level: a view of the database at one moment, as SQLite reads a file.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::types::{self, sqlite3_file, sqlite3_io_methods};
use crate::as_of::View;

/// Bytes of our object in SQLite's memory.
pub(super) const SIZE: c_int = size_of::<PastFile>() as c_int;

/// What lies in the memory that SQLite gave to xOpen.
#[repr(C)]
struct PastFile {
    /// First, as SQLite requires.
    methods: *const sqlite3_io_methods,
    view: *mut View,
}

/// Where the journal-mode versions are, two bytes. SQLite would look for a WAL if they said so.
const VERSIONS: u64 = 18;

/// Version 1: no memory shared with writers, nothing mapped.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(nothing),
    xFileSize: Some(file_size),
    xLock: Some(nothing),
    xUnlock: Some(nothing),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Puts our object where SQLite wants it.
///
/// # Safety
/// `memory` has [`SIZE`] bytes, which stay in place until xClose.
pub(super) unsafe fn place(memory: *mut sqlite3_file, view: View) {
    let ours = memory.cast::<PastFile>();
    // SAFETY: by contract.
    unsafe {
        (*ours).view = Box::into_raw(Box::new(view));
        (*ours).methods = &raw const METHODS;
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite calls xClose once, as the last call on a file that `place` made.
    unsafe {
        let ours = file.cast::<PastFile>();
        let view = Box::from_raw((*ours).view);
        (*ours).methods = std::ptr::null();
        (*ours).view = std::ptr::null_mut();
        // Closes our handle on the live file.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(view)));
    }
    types::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut sqlite3_file, out: *mut c_void, len: c_int, offset: i64) -> c_int {
    let (Ok(len), Ok(offset)) = (usize::try_from(len), u64::try_from(offset)) else {
        return types::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite calls this slot of an open file that `place` made, from one thread at a time, with `len` bytes for
    // the answer.
    let (view, out) = unsafe {
        (&mut *(*file.cast::<PastFile>()).view, std::slice::from_raw_parts_mut(out.cast::<u8>(), len))
    };
    match catch_unwind(AssertUnwindSafe(|| view.read(out, offset))) {
        Ok(Ok(())) => {}
        // It must not be taken for what was there.
        Ok(Err(why)) => {
            out.fill(0);
            view.tell(&why);
            return types::SQLITE_IOERR_READ;
        }
        Err(_) => {
            out.fill(0);
            return types::SQLITE_IOERR_READ;
        }
    }
    for (byte, at) in out.iter_mut().zip(offset..) {
        if at >= VERSIONS + 2 {
            break;
        }
        if at >= VERSIONS {
            *byte = 1;
        }
    }
    let end = offset.saturating_add(len as u64);
    if end > view.size() { types::SQLITE_IOERR_SHORT_READ } else { types::SQLITE_OK }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: SQLite calls this slot of an open file that `place` made, with a place for the answer.
    unsafe {
        let view = &*(*file.cast::<PastFile>()).view;
        *out = i64::try_from(view.size()).unwrap_or(i64::MAX);
    }
    types::SQLITE_OK
}

unsafe extern "C" fn write(_: *mut sqlite3_file, _: *const c_void, _: c_int, _: i64) -> c_int {
    types::SQLITE_READONLY
}

unsafe extern "C" fn truncate(_: *mut sqlite3_file, _: i64) -> c_int {
    types::SQLITE_READONLY
}

/// Nobody else can change it: there is nothing to lock, or to sync.
unsafe extern "C" fn nothing(_: *mut sqlite3_file, _: c_int) -> c_int {
    types::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *out = 0 };
    types::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    types::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn device_characteristics(_: *mut sqlite3_file) -> c_int {
    types::SQLITE_IOCAP_IMMUTABLE
}
