use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use super::checked;

/// A descriptor that becomes readable when the process ends.
///
/// # Errors
/// No such process; or a system older than Linux 5.3.
pub(crate) fn process_handle(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the call takes two integers and returns a descriptor or -1. It is close-on-exec by definition.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = checked(i32::try_from(fd).unwrap_or(-1))?;
    // SAFETY: `fd` is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ignores what a terminal, a session or a service manager sends to a group of processes, and broken pipes. The end of
/// input, or of the host, is what ends a keeper.
pub(crate) fn ignore_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE] {
        // SAFETY: ignoring a signal runs no code of ours. The call cannot fail for these numbers.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Runs `write` so that a pipe which nobody reads answers an error and does not kill this process.
///
/// For a host which, unlike Rust and Python programs, does not ignore SIGPIPE.
pub(crate) fn without_sigpipe<T>(write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut pipe = MaybeUninit::<libc::sigset_t>::uninit();
    let mut old = MaybeUninit::<libc::sigset_t>::uninit();
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset and sigpending initialise their sets before they are used; SIGPIPE is a valid number.
    let was_pending = unsafe {
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
    };
    // SAFETY: `pipe` is initialised; on success `old` is too.
    let masked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), old.as_mut_ptr()) } == 0;
    let result = write();
    let broken = result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
    if masked {
        if broken && !was_pending {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: `pipe` is initialised; no information is asked for; the timeout is zero. The signal was
            // raised for this thread, by the write above, and is consumed here.
            unsafe { libc::sigtimedwait(pipe.as_ptr(), ptr::null_mut(), &now) };
        }
        // SAFETY: `old` was filled by the call that masked.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut()) };
    }
    result
}

/// As a C program starts: a broken pipe kills. For a test that shows that it does not.
#[cfg(test)]
pub(crate) fn default_sigpipe_of_this_process() {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
