//! What came of a change whose process died.

use dbrewind_core::{Kind, Lsn, Need, PlanError, RewindBody, Timeline, Unreachable, fault};

use crate::error::Error;
use crate::intent::{Intent, tag};
use crate::registers::InFlight;
use crate::volume::{State, Volume};

impl Volume {
    /// Begins to use the content: with the engine's lock held, first thing. Finishes what a dead process has left; calls
    /// [`after_rewind`](crate::Storage::after_rewind) if anybody has rewound since this handle last heard of it.
    ///
    /// # Errors
    /// When a rewind is half done and cannot be finished: do not read the content then.
    pub fn enter(&self) -> Result<(), Error> {
        self.check()?;
        let mut state = self.state();
        self.settle_others(&mut state)?;
        let rewinds = self.registers().rewinds();
        if rewinds != state.rewinds {
            state.rewinds = rewinds;
            self.content.storage().after_rewind(self.store.last_lsn(self.object));
        }
        Ok(())
    }

    /// Finishes what is in flight, unless it is a change that this handle has announced. Under the engine's lock.
    pub(crate) fn settle_others(&self, state: &mut State) -> Result<(), Error> {
        match self.registers().in_flight() {
            InFlight::Change if state.writing => Ok(()),
            // A change that this handle has announced and left was settled by somebody else.
            _ => {
                state.writing = false;
                self.settle(state)
            }
        }
    }

    /// Finishes what is in flight. Under the engine's lock: who began it and has not ended it is dead, or has forgotten.
    pub(crate) fn settle(&self, state: &mut State) -> Result<(), Error> {
        match self.registers().in_flight() {
            InFlight::Nothing => Ok(()),
            // Nobody can go back beyond it, and there may be no room to say that it is there.
            InFlight::Change if self.store.broken(self.object).is_some() => {
                self.registers().set_in_flight(InFlight::Nothing);
                Ok(())
            }
            InFlight::Change => self.record_commit(state),
            InFlight::Rewind => self.finish_rewind(state, false),
        }
    }

    /// Finishes a rewind; `only_synced`: records may be missing, unless its intent says that none can be.
    pub(crate) fn finish_rewind(&self, state: &mut State, only_synced: bool) -> Result<(), Error> {
        let pending = {
            let mut history = self.history();
            self.catch_up(&mut history, self.timeout)?;
            pending(&history)?
        };
        match pending.filter(|(_, intent)| intent.synced || !only_synced) {
            Some((own, intent)) => self.finish(state, own, &intent),
            None => {
                // It was recorded, or never announced.
                self.restore_boundary(false)?;
                state.rewinds = self.registers().count_rewind();
                self.content.storage().after_rewind(self.store.last_lsn(self.object));
                self.registers().set_in_flight(InFlight::Nothing);
                Ok(())
            }
        }
    }

    /// Writes what still differs from the target, and says that the rewind has happened; or, if the target was evicted meanwhile,
    /// writes back what was overwritten.
    fn finish(&self, state: &mut State, own: Lsn, intent: &Intent) -> Result<(), Error> {
        let size = self.size()?;
        let (plan, gone) = {
            let mut history = self.history();
            let now = history.last();
            history.read_back_for(&self.store, now, intent.target)?;
            match history.plan(now, intent.target) {
                // While nobody came. What the rewind saved is of the present era, which is never evicted.
                Err(PlanError::Unreachable(Unreachable::Evicted { .. })) => {
                    history.read_back_for(&self.store, now, now)?;
                    (history.plan_back()?, true)
                }
                plan => (plan?, false),
            }
        };
        let work = self.compare(&plan, size, None)?;
        self.registers().set_in_flight(InFlight::Rewind);
        work.write(self)?;
        fault::place("volume rewind: finished by another");
        if self.waits_for_disk() {
            self.sync_medium()?;
        }
        if !gone {
            return self.record_rewind(state, own, intent);
        }
        self.cancel(own, intent)?;
        state.rewinds = self.registers().count_rewind();
        self.registers().set_in_flight(InFlight::Nothing);
        self.content.storage().after_rewind(self.store.last_lsn(self.object));
        Ok(())
    }

    /// Says that a rewind has happened: both its ends can be reached from now on, and everybody's caches are old.
    pub(crate) fn record_rewind(&self, state: &mut State, own: Lsn, intent: &Intent) -> Result<(), Error> {
        self.store.raise_last_lsn(self.object, own);
        let Intent { from, target, extent, time, .. } = *intent;
        let body = RewindBody { time, extent, from, note: &[] };
        // It has happened: without it nothing else could be said.
        let head = self.head(Kind::Rewind, target.get(), own);
        self.store.append_in_need(Need::Keep, head, &[&body.encode()])?;
        fault::place("volume rewind: recorded");
        // An intent that is on disk is taken up after a power cut, unless this is, too.
        if intent.synced || self.waits_for_disk() {
            self.store.sync()?;
        }
        let registers = self.registers();
        registers.set_boundary(own, extent);
        state.rewinds = registers.count_rewind();
        registers.set_in_flight(InFlight::Nothing);
        fault::place("volume rewind: done");
        self.content.storage().after_rewind(own);
        Ok(())
    }

    /// Puts the boundary where the log says that it must be, if a process died before it did; `doubtful`: the register may say anything.
    pub(crate) fn restore_boundary(&self, doubtful: bool) -> Result<(), Error> {
        let mut history = self.history();
        self.catch_up(&mut history, self.timeout)?;
        let Some(era) = history.era().copied() else { return Ok(()) };
        let mark = history.marks().filter(|mark| !mark.lost && !mark.evicted).map(|mark| mark.lsn).max();
        let rewind = history.rewinds().last().map(|rewind| rewind.lsn);
        let boundary = mark.max(rewind).unwrap_or(era.first).max(era.first);
        let extent = history.extent_at(boundary).unwrap_or_default();
        if doubtful || self.registers().boundary().0 < boundary {
            self.registers().set_boundary(boundary, extent);
        }
        Ok(())
    }
}

/// The intent of a rewind that has not been recorded, and the rewind's LSN.
///
/// # Errors
/// When it says something that this version does not know: to take it for none would leave the content half of one moment and half of another.
pub(crate) fn pending(history: &Timeline) -> Result<Option<(Lsn, Intent)>, Error> {
    let Some(note) = history.notes(tag::INTENT).last().filter(|note| note.lsn > history.last()) else {
        return Ok(None);
    };
    let what =
        "what it says of a rewind that is not finished is not whole, or of a newer version; use that one";
    let intent = Intent::decode(&note.body).ok_or(Error::Damaged { what })?;
    Ok((!intent.cancelled).then_some((note.lsn, intent)))
}

#[cfg(test)]
mod tests {
    use dbrewind_core::{Code, Extent, Timestamp};

    use super::*;
    use crate::{AttachOptions, Memory, StoreSettings, VolumeStore};

    #[test]
    fn hazard_a_newer_version_was_killed_within_a_rewind() {
        let folder = tempfile::tempdir().unwrap();
        let store = VolumeStore::open(folder.path(), &StoreSettings::default()).unwrap();
        let memory = Memory::new(&[7; 1000]);
        let attach = || Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::default());
        let killed = attach().unwrap();
        let from = killed.store.last_lsn(killed.object);
        let own = from.next().unwrap();
        let extent = Extent::new(16);
        let intent =
            Intent { from, target: from, extent, time: Timestamp::new(1), synced: false, cancelled: false };
        let mut body = intent.encode();
        body[32] |= 4;
        killed.store.append(killed.head(Kind::Note, tag::INTENT, own), &[&body]).unwrap();
        killed.registers().set_in_flight(InFlight::Rewind);
        assert_eq!(killed.enter().unwrap_err().code(), Code::StoreDamaged);
        killed.abandon();
        assert_eq!(attach().unwrap_err().code(), Code::StoreDamaged);
        assert_eq!(attach().unwrap_err().code(), Code::StoreDamaged, "it was said once");
    }
}
