//! The VFS level: every call goes to the wrapped VFS, with that VFS as its first argument.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;

use super::super::host_file::HostVfs;
use super::super::types::{self, VfsSyscall, sqlite3_file, sqlite3_vfs};
use super::{NAME, file};

/// Makes the wrapping struct. Leaked: SQLite keeps the pointer until the process ends.
pub(super) fn wrap(real: HostVfs) -> HostVfs {
    // SAFETY: a registered VFS stays valid for the life of the process. Fields past its version are not
    // read, since an old VFS may not have them.
    let theirs = unsafe { &*real.as_ptr() };
    let second = theirs.iVersion >= 2;
    let third = theirs.iVersion >= 3;
    let ours = sqlite3_vfs {
        iVersion: theirs.iVersion.min(3),
        szOsFile: theirs.szOsFile.max(file::SIZE),
        mxPathname: theirs.mxPathname,
        pNext: std::ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: real.as_ptr().cast(),
        xOpen: theirs.xOpen.map(|_| open as _),
        xDelete: theirs.xDelete.map(|_| delete as _),
        xAccess: theirs.xAccess.map(|_| access as _),
        xFullPathname: theirs.xFullPathname.map(|_| full_pathname as _),
        xDlOpen: theirs.xDlOpen.map(|_| dl_open as _),
        xDlError: theirs.xDlError.map(|_| dl_error as _),
        xDlSym: theirs.xDlSym.map(|_| dl_sym as _),
        xDlClose: theirs.xDlClose.map(|_| dl_close as _),
        xRandomness: theirs.xRandomness.map(|_| randomness as _),
        xSleep: theirs.xSleep.map(|_| sleep as _),
        xCurrentTime: theirs.xCurrentTime.map(|_| current_time as _),
        xGetLastError: theirs.xGetLastError.map(|_| get_last_error as _),
        xCurrentTimeInt64: theirs.xCurrentTimeInt64.filter(|_| second).map(|_| current_time_int64 as _),
        xSetSystemCall: theirs.xSetSystemCall.filter(|_| third).map(|_| set_system_call as _),
        xGetSystemCall: theirs.xGetSystemCall.filter(|_| third).map(|_| get_system_call as _),
        xNextSystemCall: theirs.xNextSystemCall.filter(|_| third).map(|_| next_system_call as _),
    };
    HostVfs::leaked(NonNull::from(Box::leak(Box::new(ours))))
}

/// The wrapped VFS.
///
/// # Safety
/// `ours` is a struct made by [`wrap`].
unsafe fn real(ours: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    // SAFETY: by contract; `wrap` put the wrapped VFS there.
    unsafe { (*ours).pAppData.cast() }
}

/// `xOpen`. The name pointer goes on unchanged: URI parameters live behind its NUL.
unsafe extern "C" fn open(
    ours: *mut sqlite3_vfs,
    name: *const c_char,
    memory: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this slot of our struct, with szOsFile bytes of memory.
    unsafe {
        let real = real(ours);
        if flags & types::SQLITE_OPEN_MAIN_DB != 0 && !name.is_null() {
            let Some(vfs) = NonNull::new(real) else { return types::SQLITE_CANTOPEN };
            return file::open(HostVfs::leaked(vfs), name, memory, flags, out);
        }
        match (*real).xOpen {
            Some(open) => open(real, name, memory, flags, out),
            None => types::SQLITE_CANTOPEN,
        }
    }
}

/// A callback that does nothing but hand the call to the wrapped VFS.
macro_rules! forward {
    ($($name:ident = $slot:ident($($arg:ident: $type:ty),*) -> $result:ty, or $missing:expr;)+) => {$(
        unsafe extern "C" fn $name(ours: *mut sqlite3_vfs, $($arg: $type),*) -> $result {
            // SAFETY: SQLite calls this slot of our struct; the arguments go on as they came.
            unsafe {
                let real = real(ours);
                match (*real).$slot {
                    Some(call) => call(real, $($arg),*),
                    None => $missing,
                }
            }
        }
    )+};
}

forward! {
    delete = xDelete(name: *const c_char, sync: c_int) -> c_int, or types::SQLITE_IOERR;
    access = xAccess(name: *const c_char, flags: c_int, out: *mut c_int) -> c_int, or types::SQLITE_IOERR;
    full_pathname = xFullPathname(name: *const c_char, size: c_int, out: *mut c_char) -> c_int,
        or types::SQLITE_CANTOPEN;
    dl_open = xDlOpen(name: *const c_char) -> *mut c_void, or std::ptr::null_mut();
    dl_error = xDlError(size: c_int, out: *mut c_char) -> (), or ();
    dl_sym = xDlSym(library: *mut c_void, symbol: *const c_char) -> Option<VfsSyscall>, or None;
    dl_close = xDlClose(library: *mut c_void) -> (), or ();
    randomness = xRandomness(size: c_int, out: *mut c_char) -> c_int, or 0;
    sleep = xSleep(micros: c_int) -> c_int, or 0;
    current_time = xCurrentTime(out: *mut f64) -> c_int, or types::SQLITE_ERROR;
    get_last_error = xGetLastError(size: c_int, out: *mut c_char) -> c_int, or 0;
    current_time_int64 = xCurrentTimeInt64(out: *mut i64) -> c_int, or types::SQLITE_ERROR;
    set_system_call = xSetSystemCall(name: *const c_char, call: Option<VfsSyscall>) -> c_int,
        or types::SQLITE_NOTFOUND;
    get_system_call = xGetSystemCall(name: *const c_char) -> Option<VfsSyscall>, or None;
    next_system_call = xNextSystemCall(name: *const c_char) -> *const c_char, or std::ptr::null();
}
