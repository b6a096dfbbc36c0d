//! What a reader beside the engine goes by, since it takes none of its locks.

use crate::sync::{AtomicBool, Ordering};

/// What the engine of this process keeps others from doing at the moment.
#[derive(Debug, Default)]
pub(crate) struct Exclusion {
    /// WAL: nobody but us can bring frames into the database file, and what happened before that was so is in the log.
    frozen: AtomicBool,
    /// Rollback modes: RESERVED on the database is a rewind's of ours.
    rewinding: AtomicBool,
}

impl Exclusion {
    /// The freeze is in place, and the comparison with the anchor is in the log: history goes on, or an era broke.
    pub(crate) fn set_frozen(&self) {
        // SeqCst: partner of the load in `is_frozen`; whoever sees the flag finds an era that broke in the log.
        self.frozen.store(true, Ordering::SeqCst);
    }

    /// The freeze is about to end.
    pub(crate) fn set_thawed(&self) {
        // SeqCst: partner of the load in `is_frozen`; before the first lock is given back, which is a system call.
        self.frozen.store(false, Ordering::SeqCst);
    }

    /// Whether what was read from the database file before this call was written by somebody who saved what it replaced:
    /// the log, read after this call, tells.
    pub(crate) fn is_frozen(&self) -> bool {
        // SeqCst: partner of `set_frozen` and `set_thawed`; the read of the file stays before it, the log's after it.
        self.frozen.load(Ordering::SeqCst)
    }

    /// A rewind of this process takes, or has given back, RESERVED.
    pub(crate) fn set_rewinding(&self, on: bool) {
        // SeqCst: partner of the load in `is_rewinding`; set while the lock is held.
        self.rewinding.store(on, Ordering::SeqCst);
    }

    /// Whether RESERVED is held by a rewind of this process.
    pub(crate) fn is_rewinding(&self) -> bool {
        // SeqCst: partner of `set_rewinding`.
        self.rewinding.load(Ordering::SeqCst)
    }
}
