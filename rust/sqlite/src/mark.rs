use dbrewind_core::{Lsn, MarkState, Timestamp};

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
