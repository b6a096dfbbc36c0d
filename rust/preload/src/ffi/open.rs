//! `open` and its like of the C library: refuses that the recorded database is opened for writing past our VFS, by a SQLite inside of
//! the program, or by a connection that names another VFS. What is opened for reading is none of our business.

use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::named::Named;
use crate::report;

// The mode is given only with O_CREAT and O_TMPFILE; otherwise what is in its register is passed on, and not looked at.

/// `int open(const char *, int, ...)`
///
/// # Safety
/// As POSIX says of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { at(c"openat", libc::AT_FDCWD, path, flags, mode) }
}

/// `int open64(const char *, int, ...)`
///
/// # Safety
/// As POSIX says of `open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { at(c"openat64", libc::AT_FDCWD, path, flags, mode) }
}

/// `int openat(int, const char *, int, ...)`
///
/// # Safety
/// As POSIX says of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { at(c"openat", folder, path, flags, mode) }
}

/// `int openat64(int, const char *, int, ...)`
///
/// # Safety
/// As POSIX says of `openat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { at(c"openat64", folder, path, flags, mode) }
}

type OpenAt = unsafe extern "C" fn(c_int, *const c_char, c_int, ...) -> c_int;

unsafe fn at(function: &CStr, folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
    // A path below a folder's descriptor is none of SQLite's.
    if writes && folder == libc::AT_FDCWD && !path.is_null() && !dbrewind_sqlite::is_opening() {
        // SAFETY: by contract a C string.
        let name = unsafe { CStr::from_ptr(path) };
        let name = Path::new(OsStr::from_bytes(name.to_bytes()));
        if catch_unwind(|| is_refused(name)).unwrap_or(false) {
            // SAFETY: this thread's errno.
            unsafe { *libc::__errno_location() = libc::EACCES };
            return -1;
        }
    }
    // SAFETY: `function` is a C string; what is found under its name has this type. Without it, which is not to be expected, the
    // system is asked itself.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, function.as_ptr());
        if next.is_null() {
            return c_int::try_from(libc::syscall(libc::SYS_openat, folder, path, flags, mode)).unwrap_or(-1);
        }
        std::mem::transmute::<*mut c_void, OpenAt>(next)(folder, path, flags, mode)
    }
}

fn is_refused(path: &Path) -> bool {
    if !Named::get().is_some_and(|named| named.is_at(path)) || has_its_own() {
        return false;
    }
    report::refused(
        "the SQLite with which it opens the database cannot be reached (it is inside of the program, or the connection names a VFS \
         of its own), so what it writes could not be recorded; it gets no right to write",
    );
    true
}

/// Whether dbrewind itself is at work here: the command line, a keeper, a program with a handle.
fn has_its_own() -> bool {
    let ours =
        |path: PathBuf| path.file_name().is_some_and(|name| name == "dbrewind" || name == "dbrewind-keeper");
    if std::env::current_exe().is_ok_and(ours) {
        return true;
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().any(|line| line.contains("/_dbrewind.") || line.contains("/libdbrewind.so"))
}
