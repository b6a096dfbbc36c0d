use dbrewind_core::{Lsn, Timestamp};

/// How a rewind was done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// The end of the WAL was moved: the same time for any change.
    Moved,
    /// The pages that differ were written.
    Written,
    /// The database was in the target's state already.
    Nothing,
}

/// What a rewind did.
#[derive(Clone, PartialEq, Debug)]
pub struct Rewound {
    /// The moment whose state the database has now.
    pub to: Lsn,
    /// When that moment was the newest one for the first time (`rust/docs/time.md`).
    pub time: Timestamp,
    /// The moment just before the rewind: rewinding to it takes this rewind back.
    pub undo: Lsn,
    /// Pages that were written.
    pub pages: u64,
    /// How long the call took, in seconds.
    pub seconds: f64,
    /// How it was done.
    pub method: Method,
}
