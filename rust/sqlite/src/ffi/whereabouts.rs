//! Of the calling thread, and of the clock that tells when a process began: what the standard library does not offer.

use std::time::Duration;

/// The calling thread's number, as `/proc/self/task` has it.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: takes nothing, changes nothing, and does not fail.
    let id = unsafe { libc::syscall(libc::SYS_gettid) };
    u32::try_from(id).unwrap_or(0)
}

/// How long ago the machine was started.
pub(crate) fn uptime() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid for writes. Of a clock that is not there nothing is written.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// How many of the ticks that `/proc` counts in are in a second.
pub(crate) fn ticks_per_second() -> u64 {
    // SAFETY: takes a number, changes nothing.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_number_under_which_it_is_listed() {
        for _ in 0..2 {
            let (id, listed) = std::thread::spawn(|| {
                let link = std::fs::read_link("/proc/thread-self").unwrap();
                (thread_id(), link.file_name().unwrap().to_str().unwrap().to_owned())
            })
            .join()
            .unwrap();
            assert_eq!(id.to_string(), listed);
        }
    }
}
