use crate::sync::{AtomicBool, Ordering, fence};

/// Whether a segment's memory was let go of: what is read of it may be zeros then, and what is appended there is lost.
#[derive(Debug)]
pub(crate) struct Gone(AtomicBool);

impl Gone {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Says so, and then has the memory replaced by zeros.
    pub(crate) fn let_go<T>(&self, replace: impl FnOnce() -> T) -> T {
        // SeqCst, and then a system call that stops every thread which has the old pages: whoever meets the
        // zeros sees the flag.
        self.0.store(true, Ordering::SeqCst);
        replace()
    }

    /// Whether what was read until now may be zeros instead of what stands in the log, and what was appended may
    /// be lost.
    #[inline]
    pub(crate) fn is_up(&self) -> bool {
        // Acquire: everything that was read before comes before the look at the flag, which is set before
        // there are zeros.
        fence(Ordering::Acquire);
        self.0.load(Ordering::Relaxed)
    }
}
