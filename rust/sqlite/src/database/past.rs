//! Past moments of a recorded database, beside the live one.

use std::path::Path;

use dbrewind_core::{Lsn, Target, Timestamp, Unreachable};

use super::Database;
use crate::as_of::{self, At, Diff};
use crate::engine::locked;
use crate::error::Error;
use crate::resolve::{Found, resolve};

impl Database {
    /// The moment that a target means, kept for reading from now on, and its time.
    fn moment_to_read(&self, to: &Target) -> Result<(Lsn, Timestamp), Error> {
        self.with(|engine| {
            let shared = self.history_in_place(engine)?;
            // Else only the first read would say so.
            engine.check_recorded()?;
            let Found { lsn, named, .. } = resolve(&shared, engine, to, self.timeout)?;
            locked(&shared).catch_up()?;
            if lsn > locked(&shared).timeline.last() {
                // Its commit may not have been copied out of the WAL yet.
                engine.drain(self.timeout)?;
                locked(&shared).catch_up()?;
            }
            let reachable = locked(&shared).timeline.reachable(lsn);
            // In a rollback mode the newest commit is not kept by itself, unless it is asked for, as by a mark.
            let kept = match reachable {
                Err(Unreachable::NotAMoment { .. }) => engine.moment(false)?.lsn == lsn,
                other => other.map(|()| true)?,
            };
            let mut history = locked(&shared);
            history.catch_up()?;
            if !kept {
                // An era may have begun with it, which keeps it as well.
                history.timeline.reachable(lsn)?;
            }
            let time = history.time_of(named).ok_or(Error::NoSuchMoment { lsn })?;
            Ok((lsn, time))
        })
    }

    /// The database as it was at the target, to be read by any SQLite connection of this process, beside the live one.
    /// Nothing is copied, nothing moves, and nobody waits: see [`At`].
    ///
    /// # Errors
    /// As [`rewind`](Self::rewind) for the target.
    pub fn at(&self, to: &Target) -> Result<At, Error> {
        self.following(to, || {
            let (lsn, time) = self.moment_to_read(to)?;
            At::new(&self.origin, lsn, time)
        })
    }

    /// Which rows, and which parts of the schema, differ between two moments; `to`: `None` for the present one. Reads the
    /// pages that differ, the inner pages of the tables, and nothing else, unless long values were overwritten in place:
    /// see `rust/docs/as-of.md`, "What differs".
    ///
    /// # Errors
    /// As [`rewind`](Self::rewind) for both moments.
    pub fn diff(&self, from: &Target, to: Option<&Target>) -> Result<Diff, Error> {
        let from = self.at(from)?;
        let to = match to {
            Some(to) => self.at(to)?,
            None => {
                let (lsn, time) = self.present_to_read()?;
                At::new(&self.origin, lsn, time)?
            }
        };
        as_of::diff(&self.origin, &from, &to)
    }

    /// The present moment, kept for reading from now on, and its time.
    fn present_to_read(&self) -> Result<(Lsn, Timestamp), Error> {
        self.with(|engine| {
            let lsn = engine.moment(false)?.lsn;
            engine.drain(self.timeout)?;
            let history = self.history()?;
            let mut history = locked(&history);
            history.catch_up()?;
            let time = history.timeline.time_of(lsn).ok_or(Error::NoSuchMoment { lsn })?;
            Ok((lsn, time))
        })
    }

    /// Copies the database as it was at the target into a new file, a plain SQLite database, while others read and write.
    /// Takes no lock in any journal mode, and time for what the database holds. The file gets its name when it is complete
    /// and on disk.
    ///
    /// # Errors
    /// `DBR022` when there is a file at the path, or a journal or WAL that would be taken for its own; as
    /// [`rewind`](Self::rewind) for the target; `DBR014`, `DBR010`, `DBR025` when it cannot be written. After any error
    /// nothing is left at the path.
    pub fn clone_to(&self, to: &Target, path: &Path) -> Result<(), Error> {
        self.following(to, || {
            let (lsn, _) = self.moment_to_read(to)?;
            as_of::clone_to(&self.origin, lsn, path)
        })
    }
}
