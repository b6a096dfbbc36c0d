use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Instant;

use super::checked;

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// Bytes, or the end.
    Read,
    /// Room, or nobody reads any more.
    Write,
}

/// Why [`wait`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The descriptor can be read or written, or answers an error at once.
    Ready,
    /// The watched process has ended.
    Gone,
    /// The deadline has passed.
    Late,
}

/// Waits for a descriptor, for the end of a process, or for a point in time; the process first.
///
/// # Errors
/// The system's own.
pub(crate) fn wait(
    fd: BorrowedFd<'_>,
    direction: Direction,
    process: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> io::Result<Woken> {
    let events = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
    };
    loop {
        let mut fds = [
            libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 },
            // A negative descriptor is skipped.
            libc::pollfd { fd: process.map_or(-1, |p| p.as_raw_fd()), events: libc::POLLIN, revents: 0 },
        ];
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // Rounded up: a wait that ends early would be repeated at once, and spin.
        let millis = left.map_or(-1, |d| i32::try_from(d.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        // SAFETY: `fds` is an array of two that lives through the call.
        match checked(unsafe { libc::poll(fds.as_mut_ptr(), 2, millis) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => {
                let [fd, process] = fds;
                if process.revents != 0 {
                    return Ok(Woken::Gone);
                }
                if fd.revents != 0 {
                    return Ok(Woken::Ready);
                }
                if deadline.is_some_and(|at| at <= Instant::now()) {
                    return Ok(Woken::Late);
                }
            }
        }
    }
}
