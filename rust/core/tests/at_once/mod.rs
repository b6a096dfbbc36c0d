//! What the threads of `all_at_once.rs` do, and how they know what has to be there.

pub(crate) mod reader;
pub(crate) mod recorder;
pub(crate) mod writer;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dbrewind_core::{AppendError, Code};

/// What the threads have come to, and whether to end.
#[derive(Debug, Default)]
pub(crate) struct Course {
    over: AtomicBool,
    /// The newest segment that anybody has appended to.
    pub(crate) newest: AtomicU64,
    /// How many were sealed by calls.
    pub(crate) sealed: AtomicU64,
    /// How often a moment was looked up and all of it read while the window was held.
    pub(crate) moments: AtomicU64,
    /// How often another handle was opened and closed.
    pub(crate) opened: AtomicU64,
}

impl Course {
    pub(crate) fn is_over(&self) -> bool {
        // Acquire: partner of the release in `end`.
        self.over.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

/// Ends the others when a thread fails, who would go on for ever.
pub(crate) struct EndsAll<'a>(pub(crate) &'a Course);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}

/// Tries until there is room, which an eviction makes as soon as an era is old enough.
pub(crate) fn until_room<T>(mut append: impl FnMut() -> Result<T, AppendError>) -> T {
    let started = Instant::now();
    loop {
        match append() {
            Ok(done) => return done,
            Err(error) if error.code() == Code::StoreFull && started.elapsed() < Duration::from_secs(120) => {
                std::thread::sleep(Duration::from_millis(3));
            }
            Err(error) => panic!("{error}"),
        }
    }
}
