use std::sync::Arc;
use std::time::Duration;

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
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// One that stands at this time.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(time.get())))
    }

    /// The time it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // Relaxed, here and below: a number that no other memory depends on.
        Timestamp::new(self.0.load(Ordering::Relaxed))
    }

    /// Sets it, also back.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.get(), Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl PartialEq for ManualClock {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ManualClock {}
