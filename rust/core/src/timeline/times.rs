use super::Timeline;
use crate::format::Engine;
use crate::types::{Lsn, Timestamp};

impl Timeline {
    /// The newest moment of the present era that must stay reachable, for an era of before-images its boundary.
    #[must_use]
    pub fn newest_kept(&self) -> Lsn {
        let present = self.eras.len().saturating_sub(1);
        self.reachable_at_or_before(present, self.last()).unwrap_or(Lsn::ORIGIN)
    }

    /// The oldest moment that can be reached, and its time. `None` before the first era.
    #[must_use]
    pub fn earliest(&self) -> Option<(Lsn, Timestamp)> {
        self.eras.first().map(|log| (log.era.first, log.era.time))
    }

    /// Whether [`earliest`](Self::earliest) is when recording began, or began anew after an interruption: nothing that came
    /// before it was evicted.
    #[must_use]
    pub fn begins_with_the_recording(&self) -> bool {
        !self.is_cut() || self.eras.first().is_some_and(|log| log.era.broken)
    }

    /// The newest moment at or before a time that can be reached: the state that the object was in then, or, in an era in
    /// which few moments can be reached, before then. If nothing has happened since, [`last`](Self::last), whether it can be
    /// reached or not: the object is in that state. `None`: the time is before [`earliest`](Self::earliest), or not
    /// [known](Self::knows_time).
    ///
    /// Costs O(log moments), and O(1) for each mark above the answer.
    #[must_use]
    pub fn at_time(&self, time: Timestamp) -> Option<Lsn> {
        if time < self.earliest()?.1 || !self.knows_time(time) {
            return None;
        }
        let era = self.eras.partition_point(|log| log.era.time <= time).checked_sub(1)?;
        let found = self.eras.get(era)?.at_time(time).lsn;
        // A mark knows of a commit before its record has a time.
        let newest = self.marks.newest_above(found, time).unwrap_or(found);
        if newest >= self.last() {
            return Some(newest);
        }
        let era = self.eras.partition_point(|log| log.era.first <= newest).checked_sub(1)?;
        self.reachable_at_or_before(era, newest)
    }

    /// When a moment was the newest one for the first time, as far as is known. Of an LSN between two moments: the older one's.
    #[must_use]
    pub fn time_of(&self, lsn: Lsn) -> Option<Timestamp> {
        let place = self.place(lsn)?;
        if !self.knows(lsn) {
            return None;
        }
        let recorded = self.era_log(place.era)?.floor(place.lsn).time;
        Some(self.marks.oldest_time(lsn).map_or(recorded, |marked| marked.min(recorded)))
    }

    /// The newest moment of an era at or below one of it that can be reached. `None`: there is no such era.
    fn reachable_at_or_before(&self, era: usize, lsn: Lsn) -> Option<Lsn> {
        let log = self.eras.get(era)?;
        if log.era.engine == Engine::Wal || self.is_end_of_era(era, lsn) {
            return Some(lsn);
        }
        let left = self.left.range(..=lsn).next_back().copied();
        let past = self.rewinds.partition_point(|rewind| rewind.lsn <= lsn);
        let rewind = past.checked_sub(1).and_then(|at| self.rewinds.get(at)).map(|rewind| rewind.lsn);
        let marked = self.marks.at_or_below(lsn);
        let kept = log.kept_at_or_below(lsn);
        let found = left.max(rewind).max(marked).max(kept);
        Some(found.map_or(log.era.first, |found| found.max(log.era.first)))
    }
}
