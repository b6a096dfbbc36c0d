//! Struct layouts and constants of SQLite's C interface, as its header `sqlite3.h` gives them.
//!
//! Written out here because the library part of this crate must link no SQLite; a test compares them
//! with the generated bindings of `libsqlite3-sys`.
#![allow(non_camel_case_types, non_snake_case, missing_docs, reason = "SQLite's own names and manual")]
#![allow(dead_code, reason = "the table is kept whole, also where only one engine uses an entry")]

use std::ffi::{c_char, c_int, c_void};

/// An open connection; opaque to us.
#[repr(C)]
pub(crate) struct sqlite3 {
    _opaque: [u8; 0],
}

#[repr(C)]
pub(crate) struct sqlite3_file {
    pub pMethods: *const sqlite3_io_methods,
}

pub(crate) type IoInt = unsafe extern "C" fn(*mut sqlite3_file, c_int) -> c_int;
pub(crate) type IoPlain = unsafe extern "C" fn(*mut sqlite3_file) -> c_int;

#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct sqlite3_io_methods {
    pub iVersion: c_int,
    pub xClose: Option<IoPlain>,
    pub xRead: Option<unsafe extern "C" fn(*mut sqlite3_file, *mut c_void, c_int, i64) -> c_int>,
    pub xWrite: Option<unsafe extern "C" fn(*mut sqlite3_file, *const c_void, c_int, i64) -> c_int>,
    pub xTruncate: Option<unsafe extern "C" fn(*mut sqlite3_file, i64) -> c_int>,
    pub xSync: Option<IoInt>,
    pub xFileSize: Option<unsafe extern "C" fn(*mut sqlite3_file, *mut i64) -> c_int>,
    pub xLock: Option<IoInt>,
    pub xUnlock: Option<IoInt>,
    pub xCheckReservedLock: Option<unsafe extern "C" fn(*mut sqlite3_file, *mut c_int) -> c_int>,
    pub xFileControl: Option<unsafe extern "C" fn(*mut sqlite3_file, c_int, *mut c_void) -> c_int>,
    pub xSectorSize: Option<IoPlain>,
    pub xDeviceCharacteristics: Option<IoPlain>,
    // Version 2:
    pub xShmMap:
        Option<unsafe extern "C" fn(*mut sqlite3_file, c_int, c_int, c_int, *mut *mut c_void) -> c_int>,
    pub xShmLock: Option<unsafe extern "C" fn(*mut sqlite3_file, c_int, c_int, c_int) -> c_int>,
    pub xShmBarrier: Option<unsafe extern "C" fn(*mut sqlite3_file)>,
    pub xShmUnmap: Option<IoInt>,
    // Version 3:
    pub xFetch: Option<unsafe extern "C" fn(*mut sqlite3_file, i64, c_int, *mut *mut c_void) -> c_int>,
    pub xUnfetch: Option<unsafe extern "C" fn(*mut sqlite3_file, i64, *mut c_void) -> c_int>,
}

pub(crate) type VfsSyscall = unsafe extern "C" fn();

#[repr(C)]
pub(crate) struct sqlite3_vfs {
    pub iVersion: c_int,
    pub szOsFile: c_int,
    pub mxPathname: c_int,
    pub pNext: *mut sqlite3_vfs,
    pub zName: *const c_char,
    pub pAppData: *mut c_void,
    pub xOpen: Option<
        unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char, *mut sqlite3_file, c_int, *mut c_int) -> c_int,
    >,
    pub xDelete: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char, c_int) -> c_int>,
    pub xAccess: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char, c_int, *mut c_int) -> c_int>,
    pub xFullPathname:
        Option<unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char, c_int, *mut c_char) -> c_int>,
    pub xDlOpen: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char) -> *mut c_void>,
    pub xDlError: Option<unsafe extern "C" fn(*mut sqlite3_vfs, c_int, *mut c_char)>,
    pub xDlSym:
        Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut c_void, *const c_char) -> Option<VfsSyscall>>,
    pub xDlClose: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut c_void)>,
    pub xRandomness: Option<unsafe extern "C" fn(*mut sqlite3_vfs, c_int, *mut c_char) -> c_int>,
    pub xSleep: Option<unsafe extern "C" fn(*mut sqlite3_vfs, c_int) -> c_int>,
    pub xCurrentTime: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut f64) -> c_int>,
    pub xGetLastError: Option<unsafe extern "C" fn(*mut sqlite3_vfs, c_int, *mut c_char) -> c_int>,
    // Version 2:
    pub xCurrentTimeInt64: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut i64) -> c_int>,
    // Version 3:
    pub xSetSystemCall:
        Option<unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char, Option<VfsSyscall>) -> c_int>,
    pub xGetSystemCall: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char) -> Option<VfsSyscall>>,
    pub xNextSystemCall: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *const c_char) -> *const c_char>,
}

pub(crate) type VfsFind = unsafe extern "C" fn(*const c_char) -> *mut sqlite3_vfs;
pub(crate) type VfsRegister = unsafe extern "C" fn(*mut sqlite3_vfs, c_int) -> c_int;
pub(crate) type OpenV2 =
    unsafe extern "C" fn(*const c_char, *mut *mut sqlite3, c_int, *const c_char) -> c_int;
pub(crate) type Close = unsafe extern "C" fn(*mut sqlite3) -> c_int;
pub(crate) type ExecRow =
    unsafe extern "C" fn(*mut c_void, c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
pub(crate) type Exec = unsafe extern "C" fn(
    *mut sqlite3,
    *const c_char,
    Option<ExecRow>,
    *mut c_void,
    *mut *mut c_char,
) -> c_int;
pub(crate) type BusyTimeout = unsafe extern "C" fn(*mut sqlite3, c_int) -> c_int;
pub(crate) type LibVersionNumber = unsafe extern "C" fn() -> c_int;

pub(crate) const SQLITE_OK: c_int = 0;
pub(crate) const SQLITE_ERROR: c_int = 1;
pub(crate) const SQLITE_BUSY: c_int = 5;
pub(crate) const SQLITE_NOMEM: c_int = 7;
pub(crate) const SQLITE_READONLY: c_int = 8;
pub(crate) const SQLITE_INTERRUPT: c_int = 9;
pub(crate) const SQLITE_IOERR: c_int = 10;
pub(crate) const SQLITE_NOTFOUND: c_int = 12;
pub(crate) const SQLITE_FULL: c_int = 13;
pub(crate) const SQLITE_CANTOPEN: c_int = 14;
pub(crate) const SQLITE_NOTADB: c_int = 26;
pub(crate) const SQLITE_IOERR_READ: c_int = SQLITE_IOERR | (1 << 8);
pub(crate) const SQLITE_IOERR_SHORT_READ: c_int = SQLITE_IOERR | (2 << 8);
pub(crate) const SQLITE_OK_LOAD_PERMANENTLY: c_int = 1 << 8;

pub(crate) const SQLITE_OPEN_READONLY: c_int = 0x1;
pub(crate) const SQLITE_OPEN_READWRITE: c_int = 0x2;
pub(crate) const SQLITE_OPEN_CREATE: c_int = 0x4;
pub(crate) const SQLITE_OPEN_URI: c_int = 0x40;
pub(crate) const SQLITE_OPEN_MAIN_DB: c_int = 0x100;
pub(crate) const SQLITE_OPEN_MAIN_JOURNAL: c_int = 0x800;
pub(crate) const SQLITE_OPEN_WAL: c_int = 0x0008_0000;
pub(crate) const SQLITE_OPEN_PRIVATECACHE: c_int = 0x0004_0000;

pub(crate) const SQLITE_LOCK_NONE: c_int = 0;
pub(crate) const SQLITE_LOCK_SHARED: c_int = 1;
pub(crate) const SQLITE_LOCK_RESERVED: c_int = 2;
pub(crate) const SQLITE_LOCK_PENDING: c_int = 3;
pub(crate) const SQLITE_LOCK_EXCLUSIVE: c_int = 4;

pub(crate) const SQLITE_SHM_UNLOCK: c_int = 1;
pub(crate) const SQLITE_SHM_LOCK: c_int = 2;
pub(crate) const SQLITE_SHM_SHARED: c_int = 4;
pub(crate) const SQLITE_SHM_EXCLUSIVE: c_int = 8;

pub(crate) const SQLITE_SYNC_NORMAL: c_int = 2;

pub(crate) const SQLITE_IOCAP_IMMUTABLE: c_int = 0x2000;

pub(crate) const SQLITE_FCNTL_PRAGMA: c_int = 14;
pub(crate) const SQLITE_FCNTL_HAS_MOVED: c_int = 20;
pub(crate) const SQLITE_FCNTL_SYNC: c_int = 21;
pub(crate) const SQLITE_FCNTL_COMMIT_PHASETWO: c_int = 22;
pub(crate) const SQLITE_FCNTL_PDB: c_int = 30;
pub(crate) const SQLITE_FCNTL_CKPT_DONE: c_int = 37;
pub(crate) const SQLITE_FCNTL_CKPT_START: c_int = 39;
