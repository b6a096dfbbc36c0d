//! `sqlite3_open` and its like: the first thing that a program calls of its SQLite. They put our VFS into that SQLite, and call
//! the function that was meant.
//!
//! Which one that is depends on the object that calls, so each entry passes on its return address.

use std::arch::naked_asm;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::catch_unwind;

use super::reach::{self, Reached};
use crate::named::Named;
use crate::report;

/// `SQLITE_ERROR`
const ERROR: c_int = 1;

/// `int sqlite3_open(const char *, sqlite3 **)`
///
/// # Safety
/// As SQLite says of it.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_open(name: *const c_char, db: *mut *mut c_void) -> c_int {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov rdx, [rsp]", "jmp {next}", next = sym open);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x2, x30", "b {next}", next = sym open);
}

/// `int sqlite3_open16(const void *, sqlite3 **)`
///
/// # Safety
/// As SQLite says of it.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_open16(name: *const c_void, db: *mut *mut c_void) -> c_int {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov rdx, [rsp]", "jmp {next}", next = sym open16);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x2, x30", "b {next}", next = sym open16);
}

/// `int sqlite3_open_v2(const char *, sqlite3 **, int, const char *)`
///
/// # Safety
/// As SQLite says of it.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_open_v2(
    name: *const c_char,
    db: *mut *mut c_void,
    flags: c_int,
    vfs: *const c_char,
) -> c_int {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov r8, [rsp]", "jmp {next}", next = sym open_v2);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x4, x30", "b {next}", next = sym open_v2);
}

type Open = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type Open16 = unsafe extern "C" fn(*const c_void, *mut *mut c_void) -> c_int;
type OpenV2 = unsafe extern "C" fn(*const c_char, *mut *mut c_void, c_int, *const c_char) -> c_int;

unsafe extern "C" fn open(name: *const c_char, db: *mut *mut c_void, caller: *const c_void) -> c_int {
    let Some(function) = prepared(c"sqlite3_open", caller) else { return ERROR };
    // SAFETY: it was found by the name of the function of this type; the arguments are the caller's.
    unsafe { std::mem::transmute::<*mut c_void, Open>(function)(name, db) }
}

unsafe extern "C" fn open16(name: *const c_void, db: *mut *mut c_void, caller: *const c_void) -> c_int {
    let Some(function) = prepared(c"sqlite3_open16", caller) else { return ERROR };
    // SAFETY: as in `open`.
    unsafe { std::mem::transmute::<*mut c_void, Open16>(function)(name, db) }
}

unsafe extern "C" fn open_v2(
    name: *const c_char,
    db: *mut *mut c_void,
    flags: c_int,
    vfs: *const c_char,
    caller: *const c_void,
) -> c_int {
    let Some(function) = prepared(c"sqlite3_open_v2", caller) else { return ERROR };
    // SAFETY: as in `open`.
    unsafe { std::mem::transmute::<*mut c_void, OpenV2>(function)(name, db, flags, vfs) }
}

/// The function that the caller means, in a SQLite that has our VFS by now.
fn prepared(function: &'static CStr, caller: *const c_void) -> Option<*mut c_void> {
    let found = catch_unwind(|| {
        let copy = reach::of(caller)?;
        record(&copy);
        copy.find(function)
    });
    let found = found.ok().flatten();
    if found.is_none() {
        report::refused("its SQLite was not found, so it opens no database");
    }
    found
}

/// Has it record. What cannot be recorded is refused where it opens the database (`super::open`).
fn record(copy: &Reached) {
    if let Some(named) = Named::get()
        && let Err(why) = copy.api().and_then(|api| {
            dbrewind_sqlite::join_recording(&api, &named.database, &named.store)
                .map_err(|why| why.to_string())
        })
    {
        report::refused(&why);
    }
}
