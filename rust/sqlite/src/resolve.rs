//! From what a caller calls a moment to the moment.

use std::time::Duration;

use dbrewind_core::{Lsn, Target, Timestamp, Unnamed};

use crate::engine::{Engine, History, SharedHistory, locked};
use crate::error::Error;

/// The moment that a target means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) lsn: Lsn,
    /// What the caller calls it: of a mark the marked one, when its state is read through a later one by now.
    pub(crate) named: Lsn,
    /// It was given as a time, and nothing has happened since: whatever comes now, comes later.
    pub(crate) present: bool,
}

/// Finds the moment. Whether it can be reached is looked at by those who go there, but for one given as a time.
pub(crate) fn resolve(
    history: &SharedHistory,
    engine: &mut dyn Engine,
    target: &Target,
    timeout: Duration,
) -> Result<Found, Error> {
    let lsn = match target {
        Target::Lsn(lsn) => numbered(history, *lsn)?,
        Target::Name(name) => marked(history, name, target)?,
        Target::Time(time) => return at(history, engine, *time, target, timeout),
        Target::Ago(ago) => {
            let now = locked(history).store.clock().now().get();
            let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
            let time = Timestamp::new(now.saturating_sub(ago));
            return at(history, engine, time, target, timeout);
        }
    };
    let (lsn, named) = lsn;
    locked(history).know(lsn)?;
    Ok(Found { lsn, named, present: false })
}

fn numbered(history: &SharedHistory, lsn: Lsn) -> Result<(Lsn, Lsn), Error> {
    let mut history = locked(history);
    history.catch_up()?;
    Ok((history.timeline.reached_by(lsn), lsn))
}

fn marked(history: &SharedHistory, name: &str, target: &Target) -> Result<(Lsn, Lsn), Error> {
    let mut history = locked(history);
    history.catch_up()?;
    history.timeline.named(name).map_err(|why| match why {
        Unnamed::NotFound { nearest } => {
            let existing = history.timeline.newest_names().into();
            Error::MarkNotFound { name: name.to_owned(), nearest, existing }
        }
        Unnamed::Evicted { earliest } => {
            Error::BeforeWindow { what: target.to_string(), earliest, begins: false, rewinding: false }
        }
        Unnamed::Lost { since } => Error::MarkLost { what: target.to_string(), since },
    })
}

fn at(
    history: &SharedHistory,
    engine: &mut dyn Engine,
    time: Timestamp,
    target: &Target,
    timeout: Duration,
) -> Result<Found, Error> {
    // A commit that is not in the store yet has no time. In the rollback modes all are; there it is seen whether
    // somebody wrote unrecorded.
    engine.drain(timeout)?;
    engine.now()?;
    let mut history = locked(history);
    history.catch_up()?;
    {
        let History { store, timeline, .. } = &mut *history;
        timeline.read_back_to(store, time)?;
    }
    history.catch_up_whole(timeout)?;
    let timeline = &history.timeline;
    let Some((_, earliest)) = timeline.earliest() else {
        return Err(Error::internal("nothing is recorded"));
    };
    match timeline.at_time(time) {
        Some(lsn) => {
            let present = lsn == timeline.last();
            history.know(lsn)?;
            Ok(Found { lsn, named: lsn, present })
        }
        None => {
            let (what, begins) = (target.to_string(), timeline.begins_with_the_recording());
            Err(Error::BeforeWindow { what, earliest, begins, rewinding: false })
        }
    }
}

/// What was found, or the earliest moment that can be reached, if that is later.
pub(crate) fn or_earliest(history: &SharedHistory, found: Result<Found, Error>) -> Result<Found, Error> {
    let mut history = locked(history);
    history.catch_up()?;
    let Some((lsn, _)) = history.timeline.earliest() else { return found };
    let earliest = Found { lsn, named: lsn, present: lsn == history.timeline.last() };
    match found {
        Ok(found) if found.lsn >= lsn => Ok(found),
        Ok(_) | Err(Error::BeforeWindow { .. } | Error::MarkLost { .. }) => Ok(earliest),
        Err(other) => Err(other),
    }
}
