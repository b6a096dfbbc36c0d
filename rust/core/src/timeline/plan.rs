use super::path::Place;
use super::value::{Source, View};
use super::{Timeline, Unreachable};
use crate::error::Code;
use crate::format::Engine;
use crate::types::{Extent, Key, Lsn};

/// More keys than this are no plan, but a sign of a nonsensical extent.
const MOST_KEYS: u64 = 1 << 32;

/// How many rewinds, from the newest on, may be found to have led to a target before.
const LATEST_REWINDS: usize = 16;

/// What must be written to make one moment of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The moment the plan leads to.
    pub target: Lsn,
    /// Where the pasts of the two moments part.
    pub parting: Lsn,
    /// How many keys the object has at the target: those past it go away.
    pub extent: Extent,
    /// The keys up to the extent that may differ, ascending, and where their content at the target is.
    pub items: Vec<(Key, Source)>,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// One of the moments cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// More keys differ than can be listed.
    #[error("{keys} keys differ, more than a plan can have")]
    TooLarge {
        /// How many.
        keys: u64,
    },
}

impl PlanError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable(why) => why.code(),
            Self::TooLarge { .. } => Code::StoreDamaged,
        }
    }
}

impl Timeline {
    /// What must be written to make the state at `target` of the state at `now`.
    ///
    /// With `now` = [`Timeline::last`] it starts from the object as it *is*: in an era of before-images
    /// keys captured for a transaction that has no `COMMIT` record (yet) are undone as well. A key is left
    /// out when its content is provably the same; one that is listed may still be the same.
    ///
    /// Costs O(images on the two sides since they part) or, if that is less, a look at every key of their eras; and a lookup for each key
    /// they touch.
    ///
    /// # Errors
    /// When the target cannot be reached, `now` is not recorded, or too many keys differ.
    pub fn plan(&self, now: Lsn, target: Lsn) -> Result<Plan, PlanError> {
        self.reachable(target)?;
        self.plan_unasked(now, target)
    }

    /// What must be written to make the state at the newest recorded moment of the object as it is: in an era of before-images that
    /// undoes what is in flight. Needs images of the present era only, and no mark.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_back(&self) -> Result<Plan, PlanError> {
        self.plan_unasked(self.last(), self.last())
    }

    /// [`plan`](Self::plan), whether or not the target was kept.
    fn plan_unasked(&self, now: Lsn, target: Lsn) -> Result<Plan, PlanError> {
        let unknown = |lsn| {
            let first = self.eras.first().map_or(Lsn::ORIGIN, |log| log.era.first);
            Unreachable::Unknown { lsn, first, last: self.last() }
        };
        if now > self.last() {
            return Err(unknown(now).into());
        }
        if self.segment_for(now, target).is_some() {
            return Err(Unreachable::Unread { lsn: target }.into());
        }
        let from = self.place(now).ok_or(unknown(now))?;
        let to = self.place(target).ok_or(unknown(target))?;
        let extent_of = |place: Place| self.era_log(place.era).map(|log| log.floor(place.lsn).extent);
        let extent = extent_of(to).unwrap_or_default();
        let extent_now = extent_of(from).unwrap_or_default();
        let present = now == self.last();
        let fork = self.fork(from, to);

        let here = if present { View::present(self, from) } else { View::at(self, from) };
        let there = View::at(self, self.newest_like(to));
        let keys = self.differing(from, present, to, fork, extent)?;
        let items = keys.into_iter().filter_map(|key| {
            let source = there.source(key);
            let same = key.get() <= extent_now.get() && source == here.source(key);
            (!same).then_some((key, source))
        });
        Ok(Plan { target, parting: self.canonical(fork), extent, items: items.collect() })
    }

    /// A later moment with the same state whose images are newer, or the moment itself: who goes back to one mark again and
    /// again finds what the last round overwrote, not what the first one did.
    fn newest_like(&self, moment: Place) -> Place {
        let state = self.canonical(moment.lsn);
        let again = self.rewinds.iter().rev().take(LATEST_REWINDS);
        let mut again = again.filter(|rewind| rewind.lsn > moment.lsn);
        let found = again.find(|rewind| self.canonical(rewind.lsn) == state);
        // In an era of after-images a rewind adds none that would be newer.
        let place = found.and_then(|rewind| self.place(rewind.lsn));
        let before_images =
            |place: &Place| self.era_log(place.era).is_some_and(|log| log.era.engine == Engine::Rollback);
        place.filter(before_images).unwrap_or(moment)
    }

    /// The keys up to the extent that may differ between two moments, ascending.
    fn differing(
        &self,
        from: Place,
        present: bool,
        to: Place,
        fork: Lsn,
        extent: Extent,
    ) -> Result<Vec<Key>, PlanError> {
        let mut keys = Vec::new();
        let at_fork =
            self.place(fork).and_then(|place| Some(self.era_log(place.era)?.floor(place.lsn).extent));
        let mut least = at_fork.unwrap_or_default();
        for stretch in self.side(from, present, fork).chain(self.side(to, false, fork)) {
            let Some(log) = self.era_log(stretch.era) else { continue };
            least = log.least_extent(&stretch.lsns()).map_or(least, |extent| extent.min(least));
            log.touches.keys_in(self.images_of(&stretch), &mut keys);
        }
        // Keys past the least extent may have been cut off without an image of their own.
        let (least, extent) = (least.get(), extent.get());
        keys.retain(|key| (1..=least.min(extent)).contains(&key.get()));
        keys.sort_unstable();
        keys.dedup();
        let past = extent.saturating_sub(least);
        if past > MOST_KEYS || usize::try_from(past).map_or(true, |past| keys.try_reserve(past).is_err()) {
            return Err(PlanError::TooLarge { keys: past });
        }
        keys.extend((least..extent).map(|before| Key::new(before + 1)));
        Ok(keys)
    }
}
