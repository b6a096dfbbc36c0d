//! Reading little at first: of sealed segments the digests (`rust/docs/sealing.md`), and more of them when somebody asks.
//!
//! From digests a timeline has every era, mark, rewind and note, and the last moment of each era; it lacks images, and
//! most commits. What it cannot tell without them it says, and never guesses.

use super::path::Place;
use super::value::View;
use super::{Timeline, TimelineError};
use crate::seal::Summary;
use crate::store::Store;
use crate::types::{Lsn, Timestamp};

impl Timeline {
    /// Whether all is known of a moment but its images: if so, [`reachable`](Self::reachable), [`extent_at`](Self::extent_at),
    /// [`time_of`](Self::time_of) and [`canonical`](Self::canonical) tell the truth about it. If not, the first one says
    /// [`Unread`](super::Unreachable::Unread), the next two say `None`, and the last takes it for a commit.
    /// [`read_back`](Self::read_back) changes that. Always so for a timeline that is not lazy.
    #[must_use]
    pub fn knows(&self, lsn: Lsn) -> bool {
        if lsn > self.last() {
            return true;
        }
        self.place(lsn).and_then(|place| self.era_log(place.era)).is_none_or(|log| log.knows(lsn))
    }

    /// As [`knows`](Self::knows), of the newest moments at or before a time.
    #[must_use]
    pub fn knows_time(&self, time: Timestamp) -> bool {
        let era = self.eras.partition_point(|log| log.era.time <= time).checked_sub(1);
        era.and_then(|era| self.eras.get(era)).is_none_or(|log| log.knows_time(time))
    }

    /// Reads what was passed over before, as far back as it is needed to tell how to get from the newest moment to this one, and what
    /// its state is. Does nothing when that is known.
    ///
    /// Costs about 0.3 us for each record from the oldest era on that is needed; nothing when it was read before.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up), which is done on the way.
    pub fn read_back(&mut self, store: &Store, lsn: Lsn) -> Result<(), TimelineError> {
        while let Some(whole_from) = self.segment_for(self.last(), lsn) {
            self.begin_again(whole_from);
            self.catch_up(store)?;
        }
        Ok(())
    }

    /// Whether [`read_back_for`](Self::read_back_for) would read anything.
    #[must_use]
    pub fn lacks(&self, now: Lsn, target: Lsn) -> bool {
        self.segment_for(now, target).is_some()
    }

    /// As [`read_back`](Self::read_back), for the way between two moments.
    ///
    /// # Errors
    /// See there.
    pub fn read_back_for(&mut self, store: &Store, now: Lsn, target: Lsn) -> Result<(), TimelineError> {
        while let Some(whole_from) = self.segment_for(now, target) {
            self.begin_again(whole_from);
            self.catch_up(store)?;
        }
        Ok(())
    }

    /// As [`read_back`](Self::read_back), for the newest moments at or before a time.
    ///
    /// # Errors
    /// See there.
    pub fn read_back_to(&mut self, store: &Store, time: Timestamp) -> Result<(), TimelineError> {
        while !self.knows_time(time) {
            let era = self.eras.partition_point(|log| log.era.time <= time).saturating_sub(1);
            let Some(whole_from) = self.segment_of(era) else { return Ok(()) };
            self.begin_again(whole_from);
            self.catch_up(store)?;
        }
        Ok(())
    }

    /// Reads all of the present era that was passed over.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up), which is done on the way.
    pub fn read_back_era(&mut self, store: &Store) -> Result<(), TimelineError> {
        while let Some(whole_from) = self.eras.len().checked_sub(1).and_then(|era| self.segment_of(era)) {
            self.begin_again(whole_from);
            self.catch_up(store)?;
        }
        Ok(())
    }

    /// Whether digests were believed: not, once everything was read whole.
    #[cfg(feature = "fuzzing")]
    #[must_use]
    pub fn believes_digests(&self) -> bool {
        self.whole_from.unwrap_or(0) > self.begins.max(1)
    }

    /// Forgets everything; what is read next begins with this segment to be read whole.
    pub(super) fn begin_again(&mut self, whole_from: u32) {
        let mut marks = std::mem::take(&mut self.marks);
        marks.read_anew();
        *self = Self { marks, ..Self::empty(self.object, Some(whole_from)) };
    }

    /// The segment with the present era's record.
    pub(super) fn segment_of_present_era(&self) -> u32 {
        self.era_at().and_then(|at| u32::try_from(at.segment().get()).ok()).unwrap_or(0)
    }

    /// The segment of which an era's record is, if the era was passed over.
    fn segment_of(&self, era: usize) -> Option<u32> {
        let log = self.eras.get(era).filter(|log| !self.is_whole(log.at))?;
        u32::try_from(log.at.segment().get()).ok()
    }

    /// Whether an era whose record is there was read whole, and all that come after it.
    fn is_whole(&self, at: crate::types::Location) -> bool {
        at.segment().get() >= u64::from(self.whole_from.unwrap_or(0))
    }

    /// The segment from which on all must be read to go from one moment to another; `None`: it was.
    pub(super) fn segment_for(&self, now: Lsn, target: Lsn) -> Option<u32> {
        if self.whole_from.unwrap_or(0) == 0 {
            return None;
        }
        let (from, to) = (self.place(now)?, self.place(target)?);
        let present = now == self.last();
        let fork = self.fork(from, to);
        let sides = self.side(from, present, fork).chain(self.side(to, false, fork));
        let oldest = sides.map(|stretch| stretch.era).min();
        let here = if present { View::present(self, from) } else { View::at(self, from) };
        let there = View::at(self, to).oldest();
        let oldest = [oldest, here.oldest(), there].into_iter().flatten().min()?;
        self.segment_of(oldest)
    }

    /// As [`segment_for`](Self::segment_for), for the state at one moment.
    pub(super) fn segment_to_see(&self, place: Place) -> Option<u32> {
        self.segment_of(View::at(self, place).oldest()?)
    }

    /// Everything that a digest lists of a segment was taken: what else there is of this object.
    pub(super) fn take_summary(&mut self, summary: &Summary) {
        self.highest = self.highest.max(summary.highest);
        self.highest_said = self.highest_said.max(summary.highest_said);
        for log in &mut self.eras {
            log.pass_over();
        }
        if let Some(log) = self.eras.last_mut().filter(|log| log.era.engine == crate::format::Engine::Wal) {
            log.passed_over = log.passed_over.max(summary.newest_after);
        }
        self.learn_roots(0);
    }

    /// Whether images were passed over that no commit has confirmed: then they must be read.
    pub(super) fn has_passed_over_images_ahead(&self) -> bool {
        let last = self.last();
        self.eras.last().is_some_and(|log| log.passed_over > last)
    }
}
