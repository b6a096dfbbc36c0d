use std::ffi::{c_char, c_int};

use crate::codes::known;

/// Done.
pub const DBREWIND_OK: i32 = 0;
/// DBR001: a write bypassed the recording.
pub const DBREWIND_NOT_ATTACHED: i32 = 1;
/// DBR002: this SQLite cannot be reached.
pub const DBREWIND_UNREACHABLE: i32 = 2;
/// DBR003: no such mark.
pub const DBREWIND_MARK_NOT_FOUND: i32 = 3;
/// DBR004: somebody else holds what is needed.
pub const DBREWIND_BUSY: i32 = 4;
/// DBR010: the store cannot grow.
pub const DBREWIND_STORE_FULL: i32 = 10;
/// DBR011: the mark can no longer be reached.
pub const DBREWIND_MARK_LOST: i32 = 11;
/// DBR012: a file is missing.
pub const DBREWIND_FILE_MISSING: i32 = 12;
/// DBR013: not a database.
pub const DBREWIND_NOT_A_DATABASE: i32 = 13;
/// DBR014: no permission to write.
pub const DBREWIND_NOT_WRITABLE: i32 = 14;
/// DBR015: the store is damaged.
pub const DBREWIND_STORE_DAMAGED: i32 = 15;
/// DBR016: the store has another format version.
pub const DBREWIND_STORE_VERSION: i32 = 16;
/// DBR017: two SQLite libraries in one process.
pub const DBREWIND_TWO_SQLITES: i32 = 17;
/// DBR018: the database file was replaced.
pub const DBREWIND_FILE_REPLACED: i32 = 18;
/// DBR019: already closed.
pub const DBREWIND_CLOSED: i32 = 19;
/// DBR020: the process was forked.
pub const DBREWIND_FORKED: i32 = 20;
/// DBR021: this kind of database or change cannot be recorded.
pub const DBREWIND_UNSUPPORTED: i32 = 21;
/// DBR022: an argument is not valid.
pub const DBREWIND_INVALID_ARGUMENT: i32 = 22;
/// DBR023: the mark already exists.
pub const DBREWIND_MARK_EXISTS: i32 = 23;
/// DBR024: the keeper process failed.
pub const DBREWIND_KEEPER_FAILED: i32 = 24;
/// DBR025: reading or writing failed.
pub const DBREWIND_IO: i32 = 25;
/// DBR026: the hook ended the wait.
pub const DBREWIND_INTERRUPTED: i32 = 26;
/// DBR027: before the earliest moment that can be reached.
pub const DBREWIND_BEFORE_WINDOW: i32 = 27;
/// DBR099: a defect in dbrewind.
pub const DBREWIND_INTERNAL: i32 = 99;

/// A code as text, "DBR003"; NULL for a number of no known code, 0 included. For ever.
#[unsafe(no_mangle)]
pub extern "C" fn dbrewind_code_text(code: c_int) -> *const c_char {
    known(code).map_or(std::ptr::null(), |row| row.text.as_ptr())
}

/// A code in a few words, "No such mark"; NULL for a number of no known code. For ever.
#[unsafe(no_mangle)]
pub extern "C" fn dbrewind_code_title(code: c_int) -> *const c_char {
    known(code).map_or(std::ptr::null(), |row| row.title.as_ptr())
}

/// What a code means, and what helps; NULL for a number of no known code. For ever.
#[unsafe(no_mangle)]
pub extern "C" fn dbrewind_code_explanation(code: c_int) -> *const c_char {
    known(code).map_or(std::ptr::null(), |row| row.explanation.as_ptr())
}
