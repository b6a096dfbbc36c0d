//! Where the SQLite is that a caller means: where the loader would have looked, had we not been in between.

use std::ffi::{CStr, CString, c_int, c_void};
use std::path::Path;

use dbrewind_sqlite::SqliteApi;

/// One copy of SQLite, by something to look its functions up in.
pub(crate) struct Reached {
    handle: *mut c_void,
}

impl Reached {
    pub(crate) fn find(&self, symbol: &'static CStr) -> Option<*mut c_void> {
        // SAFETY: a handle that is never closed, or RTLD_NEXT; `symbol` is a C string.
        let address = unsafe { libc::dlsym(self.handle, symbol.as_ptr()) };
        (!address.is_null()).then_some(address)
    }

    /// All that the recording needs of it; or in words why not.
    pub(crate) fn api(&self) -> Result<SqliteApi, String> {
        // SAFETY: `find` looks the very name up, all in one copy, whose object stays loaded: an object that is in use by
        // callers, opened once more by `of`.
        let api = unsafe { SqliteApi::from_symbols(Path::new("its SQLite"), |symbol| self.find(symbol)) };
        api.map_err(|why| why.to_string())
    }
}

/// The copy that the code at an address means: one that everybody sees, as of a program that is linked with libsqlite3; else the one of
/// the object that the code is in, or of what that is linked with, as of Python's `_sqlite3`; else any that is loaded.
pub(crate) fn of(caller: *const c_void) -> Option<Reached> {
    let has = |copy: &Reached| copy.find(c"sqlite3_open_v2").is_some();
    let seen = Reached { handle: libc::RTLD_NEXT };
    if has(&seen) {
        return Some(seen);
    }
    object_of(caller).and_then(|name| loaded(&name)).filter(has).or_else(|| {
        let mut all: Vec<CString> = Vec::new();
        // SAFETY: the callback gets the vector that is passed here.
        unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut all).cast()) };
        all.iter().filter_map(|name| loaded(name)).find(has)
    })
}

/// The name of the object that has code at an address.
fn object_of(address: *const c_void) -> Option<CString> {
    // SAFETY: all zeros is a valid value: null pointers.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: any address may be asked for; the name that is found stays as long as the object is loaded.
    unsafe {
        if libc::dladdr(address, &raw mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        Some(CStr::from_ptr(info.dli_fname).to_owned())
    }
}

/// An object that is loaded, kept for ever.
fn loaded(name: &CStr) -> Option<Reached> {
    // SAFETY: a C string; with RTLD_NOLOAD nothing is loaded, no constructor runs.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    (!handle.is_null()).then_some(Reached { handle })
}

unsafe extern "C" fn collect(info: *mut libc::dl_phdr_info, _size: usize, into: *mut c_void) -> c_int {
    // SAFETY: the loader passes a struct whose name is null or a C string, and the vector of `of`.
    unsafe {
        let name = (*info).dlpi_name;
        if !name.is_null() && *name != 0 {
            (*into.cast::<Vec<CString>>()).push(CStr::from_ptr(name).to_owned());
        }
    }
    0
}
