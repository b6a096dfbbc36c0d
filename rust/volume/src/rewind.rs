//! The rewind: make the content what it was, so that whoever comes after a kill finds the old state or makes the new one.

use std::time::{Duration, Instant};

use dbrewind_core::{Kind, Lsn, Plan, RewindOptions, Target, Timestamp, fault};

use crate::differences::Differences;
use crate::error::Error;
use crate::intent::{Intent, tag};
use crate::registers::InFlight;
use crate::resolve::Found;
use crate::volume::{State, Volume};

/// What a rewind did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rewound {
    /// The moment whose state the content has.
    pub to: Lsn,
    /// The moment it left, which can be gone to; the target, if there was nothing to do.
    pub undo: Lsn,
    /// When the target was the newest moment for the first time.
    pub time: Timestamp,
    /// How many blocks were written or cut off; how many records were written or removed.
    pub blocks: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Volume {
    /// Makes the content what it was at the target. Without the engine's lock: it is taken here, for at most the timeout.
    ///
    /// # Errors
    /// `DBR003` no such mark or moment, `DBR011` it was lost, `DBR027` it was evicted, `DBR004` a lock was not free, `DBR001` somebody wrote
    /// unrecorded. After an error the content is as it was, but for [`Error::HalfDone`] and [`Error::Late`].
    pub fn rewind(&self, to: impl Into<Target>) -> Result<Rewound, Error> {
        self.rewind_with(to, RewindOptions::default())
    }

    /// The same with another timeout, or to the earliest moment that can be reached if the target lies before it.
    ///
    /// # Errors
    /// See [`rewind`](Self::rewind).
    pub fn rewind_with(
        &self,
        to: impl Into<Target>,
        options: impl Into<RewindOptions>,
    ) -> Result<Rewound, Error> {
        self.rewind_once(&to.into(), options.into()).map_err(Error::of_rewind)
    }

    fn rewind_once(&self, to: &Target, options: RewindOptions) -> Result<Rewound, Error> {
        let (started, timeout) = (Instant::now(), options.timeout.unwrap_or(self.timeout));
        self.check()?;
        self.check_recording()?;
        self.refuse_own_change()?;
        let _object = self.store.lock_object(self.object, timeout)?;
        let _locked = self.lock(timeout)?;
        let mut state = self.state();
        self.settle(&mut state)?;
        state.writing = false;
        let Found { named, reached: target } = self.resolve(to, timeout, options.use_earliest)?;
        let size = self.size()?;
        if self.is_newest(target, timeout)? {
            self.check_length(size)?;
            let time = self.history().time_of(named).unwrap_or_else(|| self.store.time(self.object));
            let seconds = started.elapsed().as_secs_f64();
            return Ok(Rewound { to: named, undo: target, time, blocks: 0, seconds });
        }
        let (from, plan, unchanged) = self.plan(target, timeout)?;
        self.check_length(size)?;
        let then = self.history().time_of(named);
        let own = self.next_lsn()?;
        let work = self.compare(&plan, size, Some(own))?;
        let rewound = |undo| Rewound {
            to: named,
            undo,
            time: then.unwrap_or_else(|| self.store.time(self.object)),
            blocks: work.len(),
            seconds: started.elapsed().as_secs_f64(),
        };
        if work.is_empty() && unchanged {
            // The newest commit is not kept by itself; the target is, and its state is the same.
            return Ok(rewound(target));
        }
        let time = self.store.next_time(self.object);
        let synced = self.waits_for_disk();
        let intent = Intent { from, target, extent: plan.extent, time, synced, cancelled: false };
        self.carry_out(&mut state, own, &intent, &work)?;
        Ok(rewound(from))
    }

    /// The newest moment, the way from there to the target, and whether both have the same state.
    fn plan(&self, target: Lsn, timeout: Duration) -> Result<(Lsn, Plan, bool), Error> {
        let mut history = self.history();
        self.catch_up(&mut history, timeout)?;
        let now = history.last();
        history.read_back_for(&self.store, now, target)?;
        let plan = history.plan(now, target)?;
        let unchanged = history.canonical(now) == history.canonical(target);
        Ok((now, plan, unchanged))
    }

    fn carry_out(
        &self,
        state: &mut State,
        own: Lsn,
        intent: &Intent,
        work: &Differences,
    ) -> Result<(), Error> {
        let syncs = self.waits_for_disk();
        if syncs {
            self.sync_medium()?;
        }
        self.announce()?;
        fault::place("volume rewind: saved");
        // Before the intent: one that nobody settles would be taken up after a power cut, which may have taken commits behind it.
        self.registers().set_in_flight(InFlight::Rewind);
        fault::place("volume rewind: in flight");
        if let Err(error) = self.append_intent(own, intent) {
            self.registers().set_in_flight(InFlight::Nothing);
            return Err(error);
        }
        if syncs && let Err(error) = self.store.sync() {
            return Err(self.give_up(own, intent, error.into()));
        }
        fault::place("volume rewind: announced");
        if let Err(error) = work.write(self) {
            return Err(self.take_back(own, intent, work, error));
        }
        fault::place("volume rewind: written");
        if syncs && let Err(error) = self.sync_medium() {
            return Err(self.take_back(own, intent, work, error));
        }
        self.record_rewind(state, own, intent).map_err(|error| Error::Late(Box::new(error)))
    }

    fn append_intent(&self, own: Lsn, intent: &Intent) -> Result<(), Error> {
        self.store.append(self.head(Kind::Note, tag::INTENT, own), &[&intent.encode()])?;
        Ok(())
    }

    /// Says that an intent does not count: nobody may take it up again.
    pub(crate) fn cancel(&self, own: Lsn, intent: &Intent) -> Result<(), Error> {
        self.append_intent(own, &Intent { cancelled: true, ..*intent })?;
        if self.waits_for_disk() {
            self.store.sync()?;
        }
        Ok(())
    }

    /// After an error of the engine: back to where it was. Answers the error for the caller.
    fn take_back(&self, own: Lsn, intent: &Intent, work: &Differences, error: Error) -> Error {
        let taken_back = work.take_back(self).and_then(|()| match self.waits_for_disk() {
            true => self.sync_medium(),
            false => Ok(()),
        });
        match taken_back {
            Ok(()) => self.give_up(own, intent, error),
            Err(_) => Error::HalfDone(Box::new(error)),
        }
    }

    /// The content is what it was: nobody may take the rewind up. Answers the error for the caller.
    fn give_up(&self, own: Lsn, intent: &Intent, error: Error) -> Error {
        match self.cancel(own, intent) {
            Ok(()) => {
                self.registers().set_in_flight(InFlight::Nothing);
                error
            }
            Err(_) => Error::HalfDone(Box::new(error)),
        }
    }
}
