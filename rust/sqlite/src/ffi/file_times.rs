use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Sets the time of a file's last modification, ns since 1970, and leaves that of its last access.
///
/// By path: opening the file here, and closing it again, would cost the process all of SQLite's locks on it.
pub(crate) fn set_modified(path: &Path, nanoseconds: u64) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let too_late = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let seconds = libc::time_t::try_from(nanoseconds / 1_000_000_000).map_err(too_late)?;
    let rest = libc::c_long::try_from(nanoseconds % 1_000_000_000).map_err(too_late)?;
    let times = [
        libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT },
        libc::timespec { tv_sec: seconds, tv_nsec: rest },
    ];
    // SAFETY: a string that ends with 0 and an array of two, both alive during the call.
    match unsafe { libc::utimensat(libc::AT_FDCWD, name.as_ptr(), times.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
