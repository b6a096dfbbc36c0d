use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::checked;

/// A file without a name that lives as long as somebody holds it. Every write goes to its end.
///
/// # Errors
/// The system's own.
pub(crate) fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string; the flags are valid.
    let fd = checked(unsafe { libc::memfd_create(c"dbrewind-keeper stderr".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: `fd` is new, and nobody else's.
    let file = unsafe { File::from_raw_fd(fd) };
    add_status_flag(file.as_fd(), libc::O_APPEND)?;
    Ok(file)
}

/// Makes reads and writes answer `WouldBlock` instead of waiting.
///
/// # Errors
/// The system's own.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    add_status_flag(fd, libc::O_NONBLOCK)
}

fn add_status_flag(fd: BorrowedFd<'_>, flag: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open; F_GETFL takes no argument.
    let flags = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: the descriptor is open; F_SETFL takes an int.
    checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | flag) })?;
    Ok(())
}

/// Takes standard input and output away from everybody else in this process: reads of 0 find the end, writes to
/// 1 go to stderr.
///
/// # Errors
/// The system's own, among others when one of the streams is closed.
pub(crate) fn take_standard_streams() -> io::Result<(File, File)> {
    let input: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let output: OwnedFd = io::stdout().as_fd().try_clone_to_owned()?;
    let nothing = File::open("/dev/null")?;
    for (from, to) in [(nothing.as_fd(), 0), (io::stderr().as_fd(), 1)] {
        // SAFETY: `from` is open; `to` is a standard stream, which the standard library never closes either.
        checked(unsafe { libc::dup2(from.as_raw_fd(), to) })?;
    }
    Ok((input.into(), output.into()))
}
