//! The VFS level: every call goes to the wrapped VFS, with that VFS as its first argument.

use std::ffi::{c_char, c_int};
use std::ptr::NonNull;

use super::super::forward::{InFront, forwarding};
use super::super::host_file::HostVfs;
use super::super::types::{self, sqlite3_file, sqlite3_vfs};
use super::{NAME, file};

/// Of a struct made by [`wrap`], `pAppData` is the wrapped VFS.
struct Shim;

impl InFront for Shim {
    unsafe fn real(ours: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
        // SAFETY: by contract; `wrap` put the wrapped VFS there.
        unsafe { (*ours).pAppData.cast() }
    }
}

/// Makes the wrapping struct. Leaked: SQLite keeps the pointer until the process ends.
pub(super) fn wrap(real: HostVfs) -> HostVfs {
    // SAFETY: a registered VFS stays valid for the life of the process.
    let theirs = unsafe { &*real.as_ptr() };
    let ours = sqlite3_vfs {
        szOsFile: theirs.szOsFile.max(file::SIZE),
        zName: NAME.as_ptr(),
        pAppData: real.as_ptr().cast(),
        xOpen: theirs.xOpen.map(|_| open as _),
        ..forwarding::<Shim>(theirs)
    };
    HostVfs::leaked(NonNull::from(Box::leak(Box::new(ours))))
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
        let real = Shim::real(ours);
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
