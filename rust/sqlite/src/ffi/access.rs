use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether this process may read and write a file, as the user that it acts for.
///
/// By path: opening the file here, and closing it again, would cost the process all of SQLite's locks on it.
pub(crate) fn may_read_and_write(path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a string that ends with 0, alive during the call.
    match unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), libc::R_OK | libc::W_OK, libc::AT_EACCESS) }
    {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
