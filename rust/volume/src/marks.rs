//! Names of moments.

use std::time::{Duration, Instant};

use dbrewind_core::{
    DropBody, Extent, Head, Kind, Location, Lsn, MarkBody, MarkName, MarkState, Need, PINNED, Target,
    Timeline, Timestamp,
};

use crate::error::Error;
use crate::volume::Volume;

/// A named moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// The moment that it names.
    pub lsn: Lsn,
    /// When it was set.
    pub time: Timestamp,
    /// How many blocks the content had then; 0 for records under keys.
    pub blocks: u64,
    /// Whether it can be gone to; never `Hot`.
    pub state: MarkState,
    /// It keeps what it needs from being evicted.
    pub pinned: bool,
}

/// The marks of a history, oldest first. `stopped`: recording has.
pub(crate) fn listed(history: &Timeline, stopped: bool, blocks_at: impl Fn(Extent) -> u64) -> Vec<Mark> {
    let marks = history.marks().map(|mark| Mark {
        name: mark.name.to_string(),
        lsn: mark.lsn,
        time: mark.time,
        blocks: blocks_at(mark.extent),
        state: match (mark.evicted, mark.lost || stopped) {
            (true, _) => MarkState::Evicted,
            (_, true) => MarkState::Lost,
            (false, false) => MarkState::Archived,
        },
        pinned: mark.pinned,
    });
    marks.collect()
}

impl Volume {
    /// Names the newest moment. Without the engine's lock: it is taken here.
    ///
    /// # Errors
    /// `DBR023` when the name is taken, `DBR022` when it cannot be one, `DBR004` when a lock is not free, `DBR001` when somebody
    /// wrote unrecorded.
    pub fn mark(&self, name: &str) -> Result<Mark, Error> {
        self.set_mark(name, false)
    }

    /// The same, and keeps the mark until it is dropped.
    ///
    /// # Errors
    /// As [`mark`](Self::mark).
    pub fn mark_pinned(&self, name: &str) -> Result<Mark, Error> {
        self.set_mark(name, true)
    }

    fn set_mark(&self, name: &str, pinned: bool) -> Result<Mark, Error> {
        self.check()?;
        self.check_recording()?;
        self.refuse_own_change()?;
        let name = MarkName::new(name)?;
        self.store.check_in_place()?;
        let taken = || Error::MarkExists { name: name.to_string() };
        {
            let mut history = self.history();
            history.catch_up(&self.store)?;
            if history.mark(name.as_str()).is_some() {
                return Err(taken());
            }
        }
        let (lsn, extent) = {
            let _object = self.store.lock_object(self.object, self.timeout)?;
            let _locked = self.lock(self.timeout)?;
            let mut state = self.state();
            self.settle(&mut state)?;
            state.writing = false;
            let size = self.size()?;
            {
                let mut history = self.history();
                self.catch_up(&mut history, self.timeout)?;
            }
            self.check_length(size)?;
            if self.store.era_is_due(self.object) {
                self.begin_next_era(size, self.timeout)?;
            }
            let (lsn, extent) = (self.store.last_lsn(self.object), self.extent(size));
            // Before the lock goes: whatever is written from now on is kept for this moment.
            self.registers().set_boundary(lsn, extent);
            (lsn, extent)
        };
        // Later than that of any mark before it, whatever the clock does.
        let time = self.store.next_time(self.object);
        let body = MarkBody { time, extent, name: name.clone(), note: &[] };
        let flags = if pinned { PINNED } else { 0 };
        let head = Head { flags, ..self.head(Kind::Mark, 0, lsn) };
        let at = self.store.append(head, &[&body.encode()])?;
        if self.was_refused(at)? {
            return Err(taken());
        }
        let blocks = self.content.blocks_at(extent);
        Ok(Mark { name: name.to_string(), lsn, time, blocks, state: MarkState::Archived, pinned })
    }

    /// Reads the log up to a mark that was just appended; answers whether another one of its name came before it.
    fn was_refused(&self, at: Location) -> Result<bool, Error> {
        let started = Instant::now();
        loop {
            let mut history = self.history();
            history.catch_up(&self.store)?;
            if history.has_read(at) {
                return Ok(history.was_refused(at));
            }
            // The scan has waited already.
            if started.elapsed() > self.timeout {
                let what =
                    "a process was stopped in the midst of a record; whether the name was free is not known";
                return Err(Error::Busy { what, waited: started.elapsed() });
            }
        }
    }

    /// All marks, oldest first. Once recording has stopped, all of them are lost.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        self.check()?;
        let stopped = self.store.broken(self.object).is_some();
        let mut history = self.history();
        history.catch_up(&self.store)?;
        Ok(listed(&history, stopped, |extent| self.content.blocks_at(extent)))
    }

    /// Forgets a mark's name.
    ///
    /// # Errors
    /// `DBR003` when there is none of that name.
    pub fn drop_mark(&self, name: &str) -> Result<(), Error> {
        self.check()?;
        let mut history = self.history();
        let _names = self.store.lock_names()?;
        history.catch_up(&self.store)?;
        let Some(mark) = history.mark(name) else {
            let nearest = history.nearest_name(name).map(str::to_owned);
            return Err(Error::MarkNotFound { name: name.to_owned(), nearest });
        };
        let body = DropBody { time: self.store.time(self.object), name: mark.name.clone() };
        let lsn = history.last().max(mark.lsn);
        self.store.append_in_need(Need::Drop, self.head(Kind::Drop, 0, lsn), &[&body.encode()])?;
        Ok(())
    }

    /// Whether anything was committed since the target's state. Takes the same time for any change.
    ///
    /// # Errors
    /// `DBR003` no such target; as [`rewind`](Self::rewind) where it cannot be reached.
    pub fn dirty_since(&self, to: impl Into<Target>) -> Result<bool, Error> {
        self.check()?;
        self.check_recording()?;
        let target = self.resolve(&to.into(), self.timeout, false)?.reached;
        if self.is_newest(target, self.timeout)? {
            return Ok(false);
        }
        let history = self.history();
        history.reachable(target)?;
        Ok(history.canonical(history.last()) != history.canonical(target))
    }

    /// Whether this is the newest moment, by its own number or by one announced since that came to nothing. It need not be kept.
    pub(crate) fn is_newest(&self, lsn: Lsn, timeout: Duration) -> Result<bool, Error> {
        // Before the look into the log: what was announced since may be recorded there.
        let announced = self.store.last_lsn(self.object);
        let mut history = self.history();
        self.catch_up(&mut history, timeout)?;
        Ok((history.last()..=announced).contains(&lsn))
    }
}
