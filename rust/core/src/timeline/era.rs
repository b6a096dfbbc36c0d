use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::cuts::Cuts;
use super::touches::Touches;
use crate::format::Engine;
use crate::types::{Extent, Key, Location, Lsn, Timestamp};

/// A stretch of history recorded without interruption by one engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Era {
    /// Which kind of images it has.
    pub engine: Engine,
    /// The moment it began with; its own records have larger LSNs.
    pub first: Lsn,
    /// When it began.
    pub time: Timestamp,
    /// How many keys the object had at `first`.
    pub extent: Extent,
    /// Recording was interrupted before it: nothing before `first` can be reached.
    pub broken: bool,
}

/// A moment of which the state is known as a whole: a commit, a rewind, the beginning of the era.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) lsn: Lsn,
    pub(super) extent: Extent,
    /// Strictly increasing, as the LSNs are.
    pub(super) time: Timestamp,
}

/// What one era recorded.
#[derive(Clone, Debug)]
pub(super) struct EraLog {
    pub(super) era: Era,
    /// Its record.
    pub(super) at: Location,
    pub(super) touches: Touches,
    /// Ascending; the first is the era's own.
    moments: Vec<Moment>,
    /// Those commits of an era of before-images that can be reached, ascending.
    kept: Vec<Lsn>,
    pub(super) cuts: Cuts,
    bases: HashMap<Key, Location>,
    /// Of moments below this one only some are known.
    known_from: Lsn,
    /// The highest LSN of an image that was not read.
    pub(super) passed_over: Lsn,
    /// The moment that made the state with which it began: see [`Timeline::canonical`](super::Timeline::canonical).
    pub(super) root: Lsn,
}

impl EraLog {
    pub(super) fn new(era: Era, at: Location) -> Self {
        let moments = vec![Moment { lsn: era.first, extent: era.extent, time: era.time }];
        Self {
            era,
            at,
            touches: Touches::default(),
            moments,
            kept: Vec::new(),
            cuts: Cuts::default(),
            bases: HashMap::new(),
            known_from: Lsn::ORIGIN,
            passed_over: Lsn::ORIGIN,
            root: era.first,
        }
    }

    /// The newest moment is known; of those before it there may be more.
    pub(super) fn pass_over(&mut self) {
        self.known_from = self.known_from.max(self.last().lsn);
    }

    /// Whether the newest moment at or below an LSN is known.
    pub(super) fn knows(&self, lsn: Lsn) -> bool {
        lsn >= self.known_from || self.moments.binary_search_by_key(&lsn, |moment| moment.lsn).is_ok()
    }

    /// Whether the newest moment at or before a time is known.
    pub(super) fn knows_time(&self, time: Timestamp) -> bool {
        self.at_time(time).lsn >= self.known_from
    }

    /// Adds a moment, unless it is known. Its time is made to fit between those of its neighbours: the log of a version that
    /// took the clock's may have times that do not increase.
    pub(super) fn add_moment(&mut self, lsn: Lsn, extent: Extent, time: Timestamp) {
        let place = self.moments.partition_point(|moment| moment.lsn < lsn);
        let next = self.moments.get(place);
        if next.is_some_and(|moment| moment.lsn == lsn) {
            return;
        }
        let before = place.checked_sub(1).and_then(|before| self.moments.get(before));
        let mut fits = before.map_or(time, |before| time.max(before.time.next()));
        if let Some(next) = next {
            fits = fits.min(next.time);
        }
        self.moments.insert(place, Moment { lsn, extent, time: fits });
    }

    #[cfg(test)]
    pub(super) fn moment_lsns(&self) -> impl Iterator<Item = Lsn> {
        self.moments.iter().map(|moment| moment.lsn)
    }

    /// From this commit on images were captured for it.
    pub(super) fn keep(&mut self, lsn: Lsn) {
        if let Err(place) = self.kept.binary_search(&lsn) {
            self.kept.insert(place, lsn);
        }
    }

    /// Whether images were captured for this commit.
    pub(super) fn is_kept(&self, lsn: Lsn) -> bool {
        self.kept.binary_search(&lsn).is_ok()
    }

    /// The newest commit at or below an LSN for which images were captured.
    pub(super) fn kept_at_or_below(&self, lsn: Lsn) -> Option<Lsn> {
        self.kept.get(self.kept.partition_point(|kept| *kept <= lsn).checked_sub(1)?).copied()
    }

    /// Adds a base image; the first of a key stays.
    pub(super) fn add_base(&mut self, key: Key, at: Location) {
        self.bases.entry(key).or_insert(at);
    }

    pub(super) fn base(&self, key: Key) -> Option<Location> {
        self.bases.get(&key).copied()
    }

    pub(super) fn is_moment(&self, lsn: Lsn) -> bool {
        lsn == self.era.first || self.moments.binary_search_by_key(&lsn, |moment| moment.lsn).is_ok()
    }

    /// The newest moment at or below an LSN; below the era's first, that one. Where not all are known: the LSN itself, taken
    /// for a moment.
    pub(super) fn floor(&self, lsn: Lsn) -> Moment {
        let past = self.moments.partition_point(|moment| moment.lsn <= lsn);
        let own = Moment { lsn: self.era.first, extent: self.era.extent, time: self.era.time };
        let found = past.checked_sub(1).and_then(|at| self.moments.get(at)).copied().unwrap_or(own);
        if lsn < self.known_from && lsn > found.lsn { Moment { lsn, ..found } } else { found }
    }

    /// The newest moment at or before a time; before the era's beginning, that one. O(log moments).
    pub(super) fn at_time(&self, time: Timestamp) -> Moment {
        let past = self.moments.partition_point(|moment| moment.time <= time);
        past.checked_sub(1).and_then(|at| self.moments.get(at)).copied().unwrap_or(self.floor(self.era.first))
    }

    /// The newest moment.
    pub(super) fn last(&self) -> Moment {
        self.floor(Lsn::new(u64::MAX))
    }

    fn moments_in(&self, range: &RangeInclusive<Lsn>) -> &[Moment] {
        let from = self.moments.partition_point(|moment| moment.lsn < *range.start());
        let to = self.moments.partition_point(|moment| moment.lsn <= *range.end());
        self.moments.get(from..to).unwrap_or(&[])
    }

    /// How many keys existed all through a range of LSNs, as far as its moments and cuts tell.
    pub(super) fn least_extent(&self, range: &RangeInclusive<Lsn>) -> Option<Extent> {
        let moments = self.moments_in(range).iter().map(|moment| moment.extent);
        moments.chain(self.cuts.least_extent(range)).min()
    }

    /// Gives back what growing left over; for an era that has ended.
    pub(super) fn shrink(&mut self) {
        self.touches.shrink();
        self.moments.shrink_to_fit();
        self.kept.shrink_to_fit();
        self.cuts.shrink();
        self.bases.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> EraLog {
        EraLog::new(
            Era {
                engine: Engine::Wal,
                first: Lsn::new(10),
                time: Timestamp::default(),
                extent: Extent::new(5),
                broken: false,
            },
            Location::default(),
        )
    }

    #[test]
    fn a_moment_added_late_takes_its_place() {
        let mut log = log();
        for (lsn, extent) in [(12, 6), (19, 7), (15, 3), (12, 99)] {
            log.add_moment(Lsn::new(lsn), Extent::new(extent), Timestamp::new(lsn));
        }
        let extent = |lsn| log.floor(Lsn::new(lsn)).extent.get();
        assert_eq!([10, 11, 12, 14, 15, 18, 19, 99].map(extent), [5, 5, 6, 6, 3, 3, 7, 7]);
        assert!(log.is_moment(Lsn::new(15)) && !log.is_moment(Lsn::new(16)));
        assert_eq!(log.least_extent(&(Lsn::new(11)..=Lsn::new(18))), Some(Extent::new(3)));
        assert_eq!(log.least_extent(&(Lsn::new(16)..=Lsn::new(18))), None);
    }

    #[test]
    fn times_increase_with_the_lsns_whatever_the_log_says() {
        let mut log = log();
        for (lsn, time) in [(11, 50), (12, 50), (13, 7), (17, 60), (15, 99), (16, 2)] {
            log.add_moment(Lsn::new(lsn), Extent::default(), Timestamp::new(time));
        }
        let times: Vec<u64> = log.moments.iter().map(|moment| moment.time.get()).collect();
        assert_eq!(times, [0, 50, 51, 52, 60, 60, 60]);
        let at = |time| log.at_time(Timestamp::new(time)).lsn.get();
        assert_eq!([0, 49, 50, 51, 59, 60, 99].map(at), [10, 10, 11, 12, 13, 17, 17]);
    }
}
