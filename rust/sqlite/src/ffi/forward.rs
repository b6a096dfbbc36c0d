//! A VFS in front of another one: what it does not do itself goes on to that one, as it came.

use std::ffi::{c_char, c_int, c_void};

use super::types::{self, VfsSyscall, sqlite3_file, sqlite3_vfs};

/// A kind of VFS of ours.
pub(super) trait InFront {
    /// The VFS behind one of this kind.
    ///
    /// # Safety
    /// `ours` is a struct of this kind.
    unsafe fn real(ours: *mut sqlite3_vfs) -> *mut sqlite3_vfs;
}

/// A struct that hands every call on, without a name and with nothing in `pAppData`. A slot that `theirs` does not have
/// is not there; fields past its version are not read, since an old VFS may not have them.
pub(super) fn forwarding<V: InFront>(theirs: &sqlite3_vfs) -> sqlite3_vfs {
    let second = theirs.iVersion >= 2;
    let third = theirs.iVersion >= 3;
    sqlite3_vfs {
        iVersion: theirs.iVersion.min(3),
        szOsFile: theirs.szOsFile,
        mxPathname: theirs.mxPathname,
        pNext: std::ptr::null_mut(),
        zName: std::ptr::null(),
        pAppData: std::ptr::null_mut(),
        xOpen: theirs.xOpen.map(|_| open::<V> as _),
        xDelete: theirs.xDelete.map(|_| delete::<V> as _),
        xAccess: theirs.xAccess.map(|_| access::<V> as _),
        xFullPathname: theirs.xFullPathname.map(|_| full_pathname::<V> as _),
        xDlOpen: theirs.xDlOpen.map(|_| dl_open::<V> as _),
        xDlError: theirs.xDlError.map(|_| dl_error::<V> as _),
        xDlSym: theirs.xDlSym.map(|_| dl_sym::<V> as _),
        xDlClose: theirs.xDlClose.map(|_| dl_close::<V> as _),
        xRandomness: theirs.xRandomness.map(|_| randomness::<V> as _),
        xSleep: theirs.xSleep.map(|_| sleep::<V> as _),
        xCurrentTime: theirs.xCurrentTime.map(|_| current_time::<V> as _),
        xGetLastError: theirs.xGetLastError.map(|_| get_last_error::<V> as _),
        xCurrentTimeInt64: theirs.xCurrentTimeInt64.filter(|_| second).map(|_| current_time_int64::<V> as _),
        xSetSystemCall: theirs.xSetSystemCall.filter(|_| third).map(|_| set_system_call::<V> as _),
        xGetSystemCall: theirs.xGetSystemCall.filter(|_| third).map(|_| get_system_call::<V> as _),
        xNextSystemCall: theirs.xNextSystemCall.filter(|_| third).map(|_| next_system_call::<V> as _),
    }
}

macro_rules! forward {
    ($($name:ident = $slot:ident($($arg:ident: $type:ty),*) -> $result:ty, or $missing:expr;)+) => {$(
        unsafe extern "C" fn $name<V: InFront>(ours: *mut sqlite3_vfs, $($arg: $type),*) -> $result {
            // SAFETY: SQLite calls this slot of our struct; the arguments go on as they came.
            unsafe {
                let real = V::real(ours);
                match (*real).$slot {
                    Some(call) => call(real, $($arg),*),
                    None => $missing,
                }
            }
        }
    )+};
}

forward! {
    open = xOpen(name: *const c_char, memory: *mut sqlite3_file, flags: c_int, out: *mut c_int) -> c_int,
        or types::SQLITE_CANTOPEN;
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
