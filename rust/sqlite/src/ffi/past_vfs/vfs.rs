//! The VFS level: databases are ours, everything else is the real VFS's.

use std::ffi::{CStr, c_char, c_int};
use std::panic::catch_unwind;
use std::ptr::NonNull;
use std::sync::Arc;

use dbrewind_core::Lsn;

use super::super::forward::{InFront, forwarding};
use super::super::host_file::HostVfs;
use super::super::types::{self, sqlite3_file, sqlite3_vfs};
use super::{NAME, file};
use crate::as_of::{Origin, View};

/// What the struct's `pAppData` points to.
struct Context {
    real: HostVfs,
    /// The copy of SQLite that it is registered in.
    identity: usize,
}

impl InFront for Context {
    unsafe fn real(ours: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
        // SAFETY: by contract.
        unsafe { context(ours) }.real.as_ptr()
    }
}

/// Makes the struct. Leaked: SQLite keeps the pointer until the process ends.
pub(super) fn make(real: HostVfs, identity: usize) -> HostVfs {
    // SAFETY: a registered VFS stays valid for the life of the process.
    let theirs = unsafe { &*real.as_ptr() };
    let context = Box::leak(Box::new(Context { real, identity }));
    let ours = sqlite3_vfs {
        // The third version has system calls, and none of them is ours to replace.
        iVersion: theirs.iVersion.min(2),
        szOsFile: theirs.szOsFile.max(file::SIZE),
        // Room for what a name has behind the path.
        mxPathname: theirs.mxPathname.saturating_add(48),
        zName: NAME.as_ptr(),
        pAppData: (&raw mut *context).cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
        ..forwarding::<Context>(theirs)
    };
    HostVfs::leaked(NonNull::from(Box::leak(Box::new(ours))))
}

/// # Safety
/// `ours` is a struct made by [`make`].
unsafe fn context<'a>(ours: *mut sqlite3_vfs) -> &'a Context {
    // SAFETY: by contract; `make` put a leaked context there.
    unsafe { &*(*ours).pAppData.cast::<Context>() }
}

/// The view that a name stands for.
fn view_of(name: &[u8], identity: usize) -> Option<View> {
    let at = name.iter().rposition(|byte| *byte == b'@')?;
    let (lsn, number) = std::str::from_utf8(name.get(at + 1..)?).ok()?.split_once('.')?;
    let lsn = Lsn::new(lsn.parse().ok()?);
    let origin: Arc<Origin> = Origin::find(number.parse().ok()?, lsn)?;
    if origin.api.identity() != identity {
        // Our handle on the file belongs to the other copy of SQLite; so must whoever reads.
        return None;
    }
    View::open(&origin, lsn).inspect_err(|why| origin.tell(lsn, why)).ok()
}

unsafe extern "C" fn open(
    ours: *mut sqlite3_vfs,
    name: *const c_char,
    memory: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    const JOURNALS: c_int = types::SQLITE_OPEN_MAIN_JOURNAL | types::SQLITE_OPEN_WAL;
    // SAFETY: SQLite calls this slot of our struct, with szOsFile bytes of memory.
    unsafe {
        let context = context(ours);
        let real = context.real.as_ptr();
        if flags & types::SQLITE_OPEN_MAIN_DB == 0 {
            return match (*real).xOpen {
                Some(open) if flags & JOURNALS == 0 => open(real, name, memory, flags, out),
                _ => {
                    (*memory).pMethods = std::ptr::null();
                    types::SQLITE_CANTOPEN
                }
            };
        }
        (*memory).pMethods = std::ptr::null();
        if name.is_null() {
            return types::SQLITE_CANTOPEN;
        }
        let name = CStr::from_ptr(name).to_bytes();
        let Ok(Some(view)) = catch_unwind(|| view_of(name, context.identity)) else {
            return types::SQLITE_CANTOPEN;
        };
        if !out.is_null() {
            // Also if it was asked for more: then a write is refused as that to a read-only database.
            *out = flags & !(types::SQLITE_OPEN_READWRITE | types::SQLITE_OPEN_CREATE)
                | types::SQLITE_OPEN_READONLY;
        }
        file::place(memory, view);
        types::SQLITE_OK
    }
}

/// There is nothing beside a past moment: no journal, no WAL.
unsafe extern "C" fn access(
    _ours: *mut sqlite3_vfs,
    _name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *out = 0 };
    types::SQLITE_OK
}

unsafe extern "C" fn delete(_ours: *mut sqlite3_vfs, _name: *const c_char, _sync: c_int) -> c_int {
    types::SQLITE_OK
}

/// The name is one already: no part of it is looked up.
unsafe extern "C" fn full_pathname(
    _ours: *mut sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a C string, and `size` bytes for the answer.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        if usize::try_from(size).is_ok_and(|size| name.len() <= size) {
            std::ptr::copy_nonoverlapping(name.as_ptr().cast(), out, name.len());
            return types::SQLITE_OK;
        }
    }
    types::SQLITE_CANTOPEN
}
