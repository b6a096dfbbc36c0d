use std::sync::Arc;
use std::time::Duration;

use crate::map;
use crate::sync::{AtomicU64, Ordering};
use crate::types::Timestamp;

/// What a [store](crate::Store) reads the time from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Clock {
    /// The clock of the system, which somebody may set back.
    #[default]
    System,
    /// One that moves only when it is told to: for tests.
    Manual(ManualClock),
}

impl Clock {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Manual(clock) => clock.now(),
        }
    }

    /// Nanoseconds that have passed since some moment before the process began, suspended or not. Nobody sets this one, and
    /// all processes of one start of the machine see the same.
    pub(crate) fn ticks(&self) -> u64 {
        match self {
            Self::System => map::uptime(),
            // Relaxed: a number that no other memory depends on.
            Self::Manual(clock) => clock.ticks.load(Ordering::Relaxed),
        }
    }
}

/// A clock for tests. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use dbrewind_core::{ManualClock, Timestamp};
/// let clock = ManualClock::new(Timestamp::new(5));
/// clock.advance(Duration::from_nanos(2));
/// assert_eq!(clock.clone().now(), Timestamp::new(7));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    time: Arc<AtomicU64>,
    /// How much has passed, whatever the clock was set to.
    ticks: Arc<AtomicU64>,
}

impl ManualClock {
    /// One that stands at this time.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        let new = || Arc::new(AtomicU64::new(time.get()));
        Self { time: new(), ticks: new() }
    }

    /// The time it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // Relaxed, here and below: a number that no other memory depends on.
        Timestamp::new(self.time.load(Ordering::Relaxed))
    }

    /// Sets it, also back. No time passes by that.
    pub fn set(&self, time: Timestamp) {
        self.time.store(time.get(), Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.time.fetch_add(by, Ordering::Relaxed);
        self.ticks.fetch_add(by, Ordering::Relaxed);
    }
}

impl PartialEq for ManualClock {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.time, &other.time)
    }
}

impl Eq for ManualClock {}
