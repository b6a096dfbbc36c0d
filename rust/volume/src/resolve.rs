//! From what a caller calls a moment to the moment.

use std::time::Duration;

use dbrewind_core::{Lsn, Target, Timestamp, Unnamed};

use crate::error::Error;
use crate::volume::Volume;

/// What a target means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The moment that the caller named.
    pub(crate) named: Lsn,
    /// The one through which it is reached: of the same state, perhaps newer.
    pub(crate) reached: Lsn,
}

impl Volume {
    /// The moment that a target means, and the one through which it is reached. `use_earliest`: the earliest one that can be
    /// reached, if the target lies before it.
    pub(crate) fn resolve(&self, to: &Target, timeout: Duration, use_earliest: bool) -> Result<Found, Error> {
        let found = self.found(to, timeout);
        let found = if use_earliest { self.or_earliest(found, timeout)? } else { found? };
        let mut history = self.history();
        if !history.knows(found.reached) {
            history.read_back(&self.store, found.reached)?;
        }
        Ok(found)
    }

    fn found(&self, to: &Target, timeout: Duration) -> Result<Found, Error> {
        let time = match to {
            Target::Time(time) => Some(*time),
            Target::Ago(ago) => {
                let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
                Some(Timestamp::new(self.store.clock().now().get().saturating_sub(ago)))
            }
            Target::Name(_) | Target::Lsn(_) => None,
        };
        let mut history = self.history();
        self.catch_up(&mut history, timeout)?;
        if let Some(time) = time {
            history.read_back_to(&self.store, time)?;
            self.catch_up(&mut history, timeout)?;
        }
        let before_window =
            |earliest| Error::BeforeWindow { what: to.to_string(), earliest, rewinding: false };
        let (reached, named) = match to {
            Target::Time(_) | Target::Ago(_) => {
                let earliest = history.earliest().map_or(Timestamp::new(0), |(_, time)| time);
                let found = time.and_then(|time| history.at_time(time));
                let lsn = found.ok_or_else(|| before_window(earliest))?;
                (lsn, lsn)
            }
            Target::Lsn(lsn) => (history.reached_by(*lsn), *lsn),
            Target::Name(name) => history.named(name).map_err(|why| match why {
                Unnamed::NotFound { nearest } => Error::MarkNotFound { name: name.clone(), nearest },
                Unnamed::Evicted { earliest } => before_window(earliest),
                Unnamed::Lost { .. } => Error::MarkLost { what: to.to_string() },
            })?,
        };
        Ok(Found { named, reached })
    }

    /// The earliest moment that can be reached, if what was found lies before it.
    fn or_earliest(&self, found: Result<Found, Error>, timeout: Duration) -> Result<Found, Error> {
        let mut history = self.history();
        self.catch_up(&mut history, timeout)?;
        let Some((earliest, _)) = history.earliest() else { return found };
        match found {
            Ok(found) if found.reached >= earliest => Ok(found),
            Ok(_) | Err(Error::BeforeWindow { .. } | Error::MarkLost { .. }) => {
                Ok(Found { named: earliest, reached: earliest })
            }
            Err(other) => Err(other),
        }
    }
}
