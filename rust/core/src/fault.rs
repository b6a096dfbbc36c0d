//! Named places at which a test can end the process, as SIGKILL would: the steps of the hand-over in
//! `docs/sealing.md`, and those of a volume's rewind (`docs/volumes.md`). Compiled out without the feature `fault`.

/// Ends the process here if the environment variable `DBREWIND_STORE_FAULT` is this place's name; the n-th time
/// that the place is passed, if it is `n name`.
#[cfg(feature = "fault")]
pub fn place(name: &str) {
    use crate::sync::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("DBREWIND_STORE_FAULT") else { return };
    let counted = wanted.split_once(' ').and_then(|(count, name)| Some((count.parse::<u64>().ok()?, name)));
    let (count, only) = counted.unwrap_or((1, &wanted));
    // Relaxed: a number by itself.
    if only == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == count {
        eprintln!("fault: {name}");
        // No destructor, no exit handler: what the kernel does for a dead process is all that happens.
        std::process::abort();
    }
}

/// Nothing: not a test build.
#[cfg(not(feature = "fault"))]
#[inline(always)]
pub fn place(_name: &str) {}
