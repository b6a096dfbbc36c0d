//! Where a database stands, and whether it still stands there: for whoever asks often, and nearly always hears yes.

use dbrewind_core::Lsn;

use super::Database;
use crate::engine::locked;
use crate::error::Error;

/// Where a database stands. Of use to the handle that gave it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// The newest commit or rewind.
    pub lsn: Lsn,
    /// How often a mark was set or dropped, as far as this handle knows.
    pub mark_changes: u64,
}

impl Database {
    /// Where the database stands.
    ///
    /// # Errors
    /// As [`now`](Self::now); and when the store cannot be read.
    pub fn position(&self) -> Result<Position, Error> {
        self.with(|engine| {
            let history = self.history_in_place(engine)?;
            let lsn = engine.now()?;
            let mut history = locked(&history);
            history.catch_up()?;
            Ok(Position { lsn, mark_changes: history.timeline.mark_changes() })
        })
    }

    /// Whether it is certain that nothing was committed, rewound, marked or dropped since it stood there. Takes some
    /// microseconds, and no lock. After `false` [`dirty_since`](Self::dirty_since) and [`marks`](Self::marks) tell.
    ///
    /// # Errors
    /// As [`position`](Self::position).
    pub fn is_at(&self, position: Position) -> Result<bool, Error> {
        self.with(|engine| {
            if !engine.is_at(position.lsn)? {
                return Ok(false);
            }
            let history = self.history()?;
            let mut history = locked(&history);
            history.catch_up()?;
            Ok(history.timeline.mark_changes() == position.mark_changes)
        })
    }

    /// Whether [`is_at`](Self::is_at) is true, and no connection is in a transaction that a rewind would wait for: what
    /// [`rewind`](Self::rewind) to a moment of this state finds out at a higher price. After `false` that one tells.
    ///
    /// # Errors
    /// As [`position`](Self::position); and `DBR015` when the store is no longer in its place.
    pub fn rests_at(&self, position: Position) -> Result<bool, Error> {
        self.with(|engine| {
            let history = self.history_in_place(engine)?;
            // First: whoever is in a transaction may commit in the next instant.
            if !engine.is_at_rest() || !engine.is_at(position.lsn)? {
                return Ok(false);
            }
            let mut history = locked(&history);
            history.catch_up()?;
            Ok(history.timeline.mark_changes() == position.mark_changes)
        })
    }
}
