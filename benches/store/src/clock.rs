//! When a measurement begins: the time that all processes share, and the disk at rest.

use std::time::Duration;

/// Since some moment in the past, the same for every process.
pub fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to `time`, which outlives the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(done, 0, "no clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Sleeps, and for the last part turns, since a sleep ends late.
pub fn wait_until(then: Duration) {
    const SLEEP_ENDS_LATE: Duration = Duration::from_micros(500);
    let left = then.saturating_sub(now());
    std::thread::sleep(left.saturating_sub(SLEEP_ENDS_LATE));
    while now() < then {
        std::hint::spin_loop();
    }
}

/// Waits until what the measurement before left is written, or forgotten, and has so many bytes of memory from the host if this is
/// a virtual machine: one that gives free memory back takes four times as long for a page that it must ask for first.
pub fn quiet(bytes: u64) {
    // SAFETY: takes nothing.
    unsafe { libc::sync() };
    let memory = memmap2::MmapOptions::new().len(bytes as usize).map_anon().expect("memory");
    let _as_small_pages = memory.advise(memmap2::Advice::HugePage);
    memory.advise(memmap2::Advice::PopulateWrite).expect("memory");
}
