use super::value::View;
use super::{Source, Timeline};
use crate::types::{Extent, Key, Lsn};

/// The state at one moment, as far as the timeline knows: where each key's content is.
///
/// What is in a [`Source::Record`], or [`Source::Zero`], stays there. [`Source::Base`] and [`Source::Current`] mean the
/// object itself, and hold for the records read so far: whoever overwrites a key there appends its image before. So who
/// reads the key in the object *first*, and finds it still there after a [`Timeline::catch_up_whole`], has read the
/// moment's content.
#[derive(Debug)]
pub struct Vantage<'a> {
    view: View<'a>,
    extent: Extent,
}

impl Vantage<'_> {
    /// How many keys the object has at the moment.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Where a key's content is. A key past the extent is nowhere.
    #[must_use]
    pub fn source(&self, key: Key) -> Source {
        if key.get() > self.extent.get() { Source::Zero } else { self.view.source(key) }
    }
}

impl Timeline {
    /// The state at a moment. `None`: it is past the newest one recorded, or before the oldest that can be told; or it has not been
    /// read so far ([`read_back`](Timeline::read_back)).
    ///
    /// Whether the moment was kept is [`Timeline::reachable`]'s answer, not this one's.
    #[must_use]
    pub fn vantage(&self, lsn: Lsn) -> Option<Vantage<'_>> {
        let there = |_: &_| (lsn <= self.last() || self.reachable(lsn).is_ok()) && self.knows(lsn);
        let place = self.place(lsn).filter(there)?;
        if self.segment_to_see(place).is_some() {
            return None;
        }
        let extent = self.era_log(place.era)?.floor(place.lsn).extent;
        Some(Vantage { view: View::at(self, place), extent })
    }
}
