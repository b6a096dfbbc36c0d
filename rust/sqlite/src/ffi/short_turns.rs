use std::ffi::c_uint;

/// The shortest turn that Linux grants, in nanoseconds.
const TURN: u64 = 100_000;

/// Asks the scheduler for short turns on the processor, soon after they are wanted, instead of the usual ones of some milliseconds:
/// the calling thread gets no more of it than before. Without that, one that wakes up on a processor whose thread goes on
/// working waits for the end of that thread's turn, even where another processor is idle.
///
/// A hint, which Linux takes since 6.12; where it is not taken the thread runs as any other.
pub(crate) fn ask_for_short_turns() {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut how: libc::sched_attr = unsafe { std::mem::zeroed() };
    let Ok(size) = c_uint::try_from(size_of_val(&how)) else { return };
    // SAFETY: `how` is valid for writes of its own size; 0 is the calling thread.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut how, size, 0) };
    let usual = u32::try_from(libc::SCHED_OTHER).unwrap_or(u32::MAX);
    if read != 0 || how.sched_policy != usual {
        return;
    }
    how.sched_runtime = TURN;
    // SAFETY: `how` is valid for reads of the size that it names; a refusal changes nothing.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const how, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_keeps_its_policy_and_its_priority() {
        let policy_and_nice = || {
            // SAFETY: take no pointers.
            unsafe { (libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0)) }
        };
        let both = std::thread::spawn(move || {
            let before = policy_and_nice();
            ask_for_short_turns();
            (before, policy_and_nice())
        });
        let (before, after) = both.join().unwrap();
        assert_eq!(before, after);
    }
}
