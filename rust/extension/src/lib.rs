//! `dbrewind` as a loadable extension: puts the recording VFS into a SQLite whose symbols are hidden.
//!
//! `SELECT load_extension('libdbrewind_sqlite_extension', 'sqlite3_dbrewind_init')`, or `.load` in the shell.
//! The VFS becomes the default one; it stays for the life of the process.
#![expect(unsafe_code, reason = "an entry point that SQLite finds by its name")]

use std::ffi::{c_char, c_int, c_void};

/// What `sqlite3_load_extension` calls.
///
/// # Safety
/// Only SQLite may call it, as the entry point of an extension.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_dbrewind_init(
    _db: *mut c_void,
    _message: *mut *mut c_char,
    routines: *const c_void,
) -> c_int {
    // SAFETY: SQLite passes its table of functions.
    unsafe { dbrewind_sqlite::extension_init(routines) }
}

/// The name that SQLite tries first when it is given none.
///
/// # Safety
/// As for [`sqlite3_dbrewind_init`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_extension_init(
    db: *mut c_void,
    message: *mut *mut c_char,
    routines: *const c_void,
) -> c_int {
    // SAFETY: by contract.
    unsafe { sqlite3_dbrewind_init(db, message, routines) }
}
