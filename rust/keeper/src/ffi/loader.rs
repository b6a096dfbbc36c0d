use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// Where a loaded file, or a library it depends on, has a symbol. `None` for the program itself.
///
/// Loads nothing: a file that is not loaded has no symbols.
pub(crate) fn symbol_address(file: Option<&Path>, symbol: &CStr) -> Option<usize> {
    let name = file.map(|path| CString::new(path.as_os_str().as_bytes())).transpose().ok()?;
    let name = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
    // SAFETY: `name` is null or a C string. With RTLD_NOLOAD no code of the file runs.
    let handle = unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: `handle` is open; `symbol` is a C string.
    let address = unsafe { libc::dlsym(handle, symbol.as_ptr()) } as usize;
    // SAFETY: `handle` came from the dlopen above and is not used again.
    unsafe { libc::dlclose(handle) };
    (address != 0).then_some(address)
}
