//! What a recorder knows of the transaction under way.

use dbrewind_core::Lsn;

use crate::rollback::page_set::PageSet;

/// What a connection does between taking its lock and lowering it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Session {
    /// It has committed nothing yet.
    #[default]
    New,
    /// It has committed. Another transaction means exclusive locking mode, in which SQLite counts only once.
    Committed,
    /// The log says so, on disk.
    Announced,
}

/// What is between the first write and the end of a transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    /// Of its images, and of its commit.
    pub(super) lsn: Lsn,
    /// The change counter in the first page 1 that it wrote, and in the newest one.
    pub(super) counters: Option<(u32, u32)>,
    pub(super) cookie: Option<u32>,
    /// A process died during a change, and nobody has settled yet what came of it: the counter that the
    /// file had when this transaction began to write.
    pub(super) unsettled: Option<u32>,
    /// An image of it is in the store.
    pub(super) saved: bool,
    /// The blocks that it has written.
    pub(super) written: PageSet,
    /// Where the first trunk of the free list begins, as its newest page 1 says.
    pub(super) first_trunk: Option<u64>,
    /// Page 1 says WAL after it.
    pub(super) wal: bool,
    /// Recording has stopped: nothing of this transaction is recorded.
    pub(super) deaf: bool,
}

impl Transaction {
    /// One that has written nothing yet.
    pub(super) fn at(lsn: Lsn) -> Self {
        Self {
            lsn,
            counters: None,
            cookie: None,
            unsettled: None,
            saved: false,
            written: PageSet::default(),
            first_trunk: None,
            wal: false,
            deaf: false,
        }
    }

    /// One of which nothing is recorded.
    pub(super) fn deaf() -> Self {
        Self { deaf: true, ..Self::at(Lsn::default()) }
    }
}
