use dbrewind_core::{Lsn, Timestamp};

/// What a rewind to a mark would cost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MarkState {
    /// Its state is a prefix of the present WAL: a rewind takes the same time for any change.
    Hot,
    /// Its state is in the store: a rewind takes time for what differs.
    Archived,
    /// It is before the window: a rewind to it is refused.
    Evicted,
    /// Recording was interrupted after it, or has stopped: a rewind to it is refused.
    Lost,
}

/// A name for a moment of the database. Rewinding does not consume it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// The moment it names.
    pub lsn: Lsn,
    /// When it was set.
    pub time: Timestamp,
    /// Length of the database at that moment, in pages.
    pub pages: u64,
    /// What a rewind to it would cost now.
    pub state: MarkState,
    /// Whether it keeps what it needs from being evicted.
    pub pinned: bool,
}
