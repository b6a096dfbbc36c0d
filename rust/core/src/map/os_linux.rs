//! The system calls, for Linux.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Identifies the run of the system since it was started.
#[must_use]
pub fn boot_id() -> [u8; 16] {
    // Without /proc every start looks the same: then a power cut is noticed by hashes alone.
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut id = [0; 16];
    let digits = text.bytes().filter_map(|c| char::from(c).to_digit(16));
    for (at, digit) in digits.enumerate() {
        if let Some(byte) = id.get_mut(at / 2) {
            *byte = *byte << 4 | u8::try_from(digit).unwrap_or(0);
        }
    }
    id
}

/// Nanoseconds since the machine was started, those among them in which it slept.
pub(crate) fn uptime() -> u64 {
    let mut found = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut found) };
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    part(found.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(found.tv_nsec))
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the pointer is valid for writes of the length that is passed with it.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    // Up to 256 bytes come at once or not at all.
    if usize::try_from(got) == Ok(N) { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}

/// Makes a file this long and takes the room for it, so that writing through a mapping cannot fail.
pub(crate) fn reserve_room(file: &File, len: u64) -> io::Result<()> {
    let len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: takes no pointers; the descriptor is open as long as `file` is borrowed.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Bytes that a file in this folder can still take.
pub(crate) fn free_room(dir: &Path) -> io::Result<u64> {
    #[cfg(test)]
    if let Some(free) = super::seen::FREE.get() {
        return Ok(free);
    }
    let path = CString::new(dir.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string that outlives the call, and a valid place for the answer.
    match unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } {
        0 => Ok(found.f_bavail.saturating_mul(found.f_frsize)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until a file or a folder is on disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    #[cfg(test)]
    super::seen::synced(file)?;
    file.sync_all()
}

/// Makes the bytes from `from` to `to` zero, and keeps the room.
pub(crate) fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let offset = libc::off_t::try_from(from).map_err(too_large)?;
    let len = libc::off_t::try_from(to.saturating_sub(from)).map_err(too_large)?;
    if len == 0 {
        return Ok(());
    }
    // SAFETY: takes no pointers; the descriptor is open as long as `file` is borrowed.
    let done = unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_ZERO_RANGE, offset, len) };
    if done == 0 {
        return Ok(());
    }
    use std::os::unix::fs::FileExt;
    let zeros = vec![0; 1 << 16];
    let mut at = from;
    while at < to {
        let part = usize::try_from(to - at).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(zeros.get(..part).unwrap_or(&zeros), at)?;
        at += part as u64;
    }
    Ok(())
}

/// Writes all parts, one after the other, from an offset on. Whoever has the file mapped sees them there.
pub(crate) fn write_parts(file: &File, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
    /// What one call takes at most, on every Linux.
    const MOST: usize = 1024;
    let mut offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
    for parts in parts.chunks(MOST) {
        let mut slices: Vec<io::IoSlice<'_>> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
        let mut left = slices.as_mut_slice();
        io::IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let count = libc::c_int::try_from(left.len()).unwrap_or(libc::c_int::MAX);
            // SAFETY: `IoSlice` has the layout of `iovec`, the slices are borrowed over the call, and there are
            // `count` of them; the descriptor is open as long as `file` is borrowed.
            let done = unsafe { libc::pwritev(file.as_raw_fd(), left.as_ptr().cast(), count, offset) };
            match usize::try_from(done) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    io::IoSlice::advance_slices(&mut left, written);
                    offset += libc::off_t::try_from(written).unwrap_or(0);
                }
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
    Ok(())
}

fn range(kind: libc::c_int, byte: u32, count: u32) -> libc::flock {
    // SAFETY: all fields are integers, for which zero is a value; OFD locks demand l_pid = 0.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = i16::try_from(kind).unwrap_or(0);
    range.l_whence = 0; // SEEK_SET
    range.l_start = libc::off_t::from(byte);
    range.l_len = libc::off_t::from(count);
    range
}

fn fcntl_range(fd: RawFd, command: libc::c_int, range: &mut libc::flock) -> io::Result<()> {
    loop {
        // SAFETY: these commands read and write one `flock`, which `range` is.
        if unsafe { libc::fcntl(fd, command, std::ptr::from_mut(range)) } != -1 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Takes a byte for writing; `false` when another descriptor has it.
pub(super) fn try_lock(fd: RawFd, byte: u32) -> io::Result<bool> {
    match fcntl_range(fd, libc::F_OFD_SETLK, &mut range(libc::F_WRLCK, byte, 1)) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Takes a byte for reading, as others may; `false` when another descriptor has it for writing.
pub(super) fn try_share(fd: RawFd, byte: u32) -> io::Result<bool> {
    match fcntl_range(fd, libc::F_OFD_SETLK, &mut range(libc::F_RDLCK, byte, 1)) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Lets a byte go.
pub(super) fn unlock(fd: RawFd, byte: u32) -> io::Result<()> {
    fcntl_range(fd, libc::F_OFD_SETLK, &mut range(libc::F_UNLCK, byte, 1))
}

/// Whether another descriptor has one of these bytes.
pub(super) fn locked_elsewhere(fd: RawFd, byte: u32, count: u32) -> io::Result<bool> {
    let mut found = range(libc::F_WRLCK, byte, count);
    fcntl_range(fd, libc::F_OFD_GETLK, &mut found)?;
    Ok(i32::from(found.l_type) != libc::F_UNLCK)
}

/// Closes a descriptor.
pub(super) fn close(fd: RawFd) {
    // SAFETY: takes no pointers. The callers own the descriptor and do not use it afterwards.
    unsafe { libc::close(fd) };
}

/// Has the system call these around every `fork` of the process, the last one in the child.
pub(super) fn at_fork(
    before: extern "C" fn(),
    in_parent: extern "C" fn(),
    in_child: extern "C" fn(),
) -> io::Result<()> {
    // SAFETY: the functions live as long as the program, do not unwind, and in the child do nothing
    // but atomic operations and `close`, which are allowed there.
    match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Lets all other threads come first.
pub(crate) fn lower_priority() {
    // On Linux 0 is the calling thread, not its process.
    // SAFETY: takes no pointers. If it is refused, the thread runs as any other.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
}

/// Lets every other thread have the processor at once, whenever it wants it. Where threads want it all the time, nothing
/// is left: not for a thread that others must wait for.
pub(crate) fn leave_to_others() {
    // SAFETY: an all-zero value is a valid one, and the call only reads it; 0 is the calling thread. If it is refused, the thread
    // runs as any other.
    unsafe {
        let nothing: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const nothing);
    }
}

/// Leaves the signals of the process to its other threads.
pub(crate) fn block_signals() {
    // SAFETY: an all-zero set is a valid value; `sigfillset` and `pthread_sigmask` get pointers to it
    // and null for the old mask, which is allowed.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}
