use std::time::Duration;

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

/// What a rewind may do.
///
/// ```
/// use dbrewind_sqlite::RewindOptions;
/// let options = RewindOptions { use_earliest: true, ..Default::default() };
/// assert_eq!(options.timeout, None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RewindOptions {
    /// Instead of the timeout in the [`OpenOptions`](crate::OpenOptions).
    pub timeout: Option<Duration>,
    /// Whether to go to the earliest moment that can be reached when the target lies before it. Default `false`: that is
    /// refused with `DBR027`, or `DBR011` for a mark that was lost.
    pub use_earliest: bool,
}

impl From<Option<Duration>> for RewindOptions {
    fn from(timeout: Option<Duration>) -> Self {
        Self { timeout, ..Self::default() }
    }
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
