//! Where a database stands, and whether it still stands there: for whoever asks often, and nearly always hears yes.

use dbrewind_core::{Lsn, Target};

use super::Database;
use crate::engine::locked;
use crate::error::Error;
use crate::resolve::resolve;

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

    /// Where the database stands, if its state is that of the target; `None`: something was committed since.
    ///
    /// # Errors
    /// As [`position`](Self::position); `DBR003` no such target, `DBR027` a time before everything that can be reached.
    pub fn position_at(&self, to: &Target) -> Result<Option<Position>, Error> {
        self.with(|engine| {
            let shared = self.history_in_place(engine)?;
            // First: what comes after it shows when somebody asks whether the database still stands there.
            let now = engine.now()?;
            let found = resolve(&shared, engine, to, self.timeout)?;
            if !found.present {
                let newest = locked(&shared).timeline.last();
                if newest < found.lsn && found.lsn <= now {
                    // Its commit may not have been copied out of the WAL yet.
                    engine.drain(self.timeout)?;
                }
                let history = locked(&shared);
                history.timeline.reachable(found.lsn)?;
                if history.timeline.canonical(now) != history.timeline.canonical(found.lsn) {
                    return Ok(None);
                }
            }
            Ok(Some(Position { lsn: now, mark_changes: locked(&shared).timeline.mark_changes() }))
        })
    }

    /// Whether it is certain that nothing was committed, rewound, marked or dropped since it stood there. Takes some
    /// microseconds, and no lock. After `false` [`dirty_since`](Self::dirty_since) and [`marks`](Self::marks) tell.
    ///
    /// # Errors
    /// As [`position`](Self::position).
    pub fn is_at(&self, position: Position) -> Result<bool, Error> {
        self.look(|engine| {
            if !engine.is_at(position.lsn)? {
                return Ok(false);
            }
            let history = self.history()?;
            let mut history = locked(&history);
            history.catch_up()?;
            Ok(history.timeline.mark_changes() == position.mark_changes)
        })
    }

    /// Whether it is certain at a glance that nothing was committed, rewound, marked or dropped since it stood there: one that takes no
    /// lock, and in WAL mode reads nothing but memory. After `false` ask [`is_at`](Self::is_at), which also
    /// sees whether the file is still in its place.
    ///
    /// ```
    /// # fn skip_if_clean(db: &dbrewind_sqlite::Database, position: dbrewind_sqlite::Position) -> Result<bool, dbrewind_sqlite::Error> {
    /// Ok(db.glance(position) || db.is_at(position)?)
    /// # }
    /// ```
    #[must_use]
    pub fn glance(&self, position: Position) -> bool {
        let Ok(history) = self.history() else { return false };
        if !self.slot.glance(&mut |engine| engine.glance(position.lsn)) {
            return false;
        }
        let Ok(mut history) = history.try_lock() else { return false };
        history.catch_up().is_ok() && history.timeline.mark_changes() == position.mark_changes
    }

    /// Whether [`is_at`](Self::is_at) is true, and no connection is in a transaction that a rewind would wait for: what
    /// [`rewind`](Self::rewind) to a moment of this state finds out at a higher price. After `false` that one tells.
    ///
    /// # Errors
    /// As [`position`](Self::position); and `DBR015` when the store is no longer in its place. Neither where `false` is certain at a glance.
    pub fn rests_at(&self, position: Position) -> Result<bool, Error> {
        self.look(|engine| {
            if engine.has_passed(position.lsn) {
                // LSNs only grow: no lock could make a yes of it.
                return Ok(false);
            }
            let history = self.history()?;
            locked(&history).store.check_in_place()?;
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
