//! How old something is, whatever somebody sets the clock to.
//!
//! Records carry the time of the clock on the wall, which may be set back or leap ahead. So an age is what it was at the first
//! look, and from then on grows with what passes. At the first look it is taken from a time that follows the clock, but
//! never gets ahead faster than time passes, in all processes since the machine was started.

use std::time::Duration;

use crate::store::handle::Inner;
use crate::types::Timestamp;

/// The present, as ages are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    /// Not ahead of the clock.
    pub(super) time: Timestamp,
    ticks: u64,
}

/// When something was seen for the first time, and how old it was, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sighting {
    age: u64,
    ticks: u64,
}

impl Present {
    #[cfg(test)]
    pub(super) fn at(time: Timestamp, ticks: u64) -> Self {
        Self { time, ticks }
    }

    /// Something that happened at this time by the clock is seen for the first time.
    pub(super) fn sight(self, time: Timestamp) -> Sighting {
        Sighting { age: self.time.get().saturating_sub(time.get()), ticks: self.ticks }
    }

    /// How old it is.
    pub(super) fn age(self, seen: Sighting) -> Duration {
        Duration::from_nanos(seen.age.saturating_add(self.ticks.saturating_sub(seen.ticks)))
    }
}

impl Inner {
    /// The present, as ages are counted.
    pub(super) fn present(&self) -> Present {
        let (clock, ticks) = (self.now(), self.clock.ticks());
        let (ages, since) = self.control.ages();
        let time = match ages {
            // There is nothing else to go by.
            0 => clock,
            _ => clock.min(Timestamp::new(ages.saturating_add(ticks.saturating_sub(since)))),
        };
        Present { time, ticks }
    }

    /// Lets the time that ages are counted by come up to the present. The caller has the window's lock.
    pub(super) fn advance_ages(&self) -> Present {
        let present = self.present();
        self.control.set_ages(present.time.get(), present.ticks);
        present
    }
}
