use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Wall-clock time in nanoseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The system clock, now. A clock before 1970 reads as 0; one past the year 2554 saturates.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// One nanosecond later; the end of time stays.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Wraps a raw number.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The raw number, as it is written to disk.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// For people: RFC 3339 in UTC, exactly, as a [`Target`](crate::Target) is read from it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        super::time_text::written(self)
    }
}

impl From<SystemTime> for Timestamp {
    /// A time before 1970 becomes 0; one past the year 2554 saturates.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
