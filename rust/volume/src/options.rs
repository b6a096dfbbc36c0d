use std::fmt;
use std::time::{Duration, SystemTime};

use dbrewind_core::{Lsn, Timestamp};

/// How a volume is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachOptions {
    /// How long a call waits for a lock that somebody else holds. Default 5 s.
    pub timeout: Duration,
    /// What of a rewind waits for the disk.
    pub synchronous: Synchronous,
    /// The content is a new one, which has nothing to do with what was recorded: earlier marks are lost.
    pub anew: bool,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), synchronous: Synchronous::default(), anew: false }
    }
}

impl AttachOptions {
    /// The default for content that begins with this process: an engine in memory.
    #[must_use]
    pub fn anew() -> Self {
        Self { anew: true, ..Self::default() }
    }
}

/// What of a rewind waits for the disk. Nothing does for a medium that does not [sync](crate::Medium::syncs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Synchronous {
    /// Nothing: a power cut in a rewind may leave a part of it.
    Off,
    /// A power cut in a rewind leaves the old or the new state, once somebody has attached again.
    #[default]
    Normal,
}

/// What a rewind may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RewindOptions {
    /// Instead of the timeout in the [`AttachOptions`].
    pub timeout: Option<Duration>,
    /// Whether to go to the earliest moment that can be reached when the target lies before it. Default `false`: that is
    /// refused with `DBR027`, or `DBR011` for a mark that was lost.
    pub use_earliest: bool,
}

impl From<Option<Duration>> for RewindOptions {
    fn from(timeout: Option<Duration>) -> Self {
        Self { timeout, ..Self::default() }
    }
}

/// Where a rewind goes to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// The mark of this name.
    Name(String),
    /// The newest moment at or before this time that can be reached: the state that the content had then, or, since only marks and both ends of rewinds can
    /// be reached, before then. If nothing has happened since, the present.
    Time(Timestamp),
    /// The same for the time so long before the call.
    Ago(Duration),
    /// A moment, as [`Mark::lsn`](crate::Mark) or [`Rewound::undo`](crate::Rewound) gave it; or [`now`](crate::Volume::now), for as long as it is
    /// the newest one.
    Lsn(Lsn),
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<Lsn> for Target {
    fn from(lsn: Lsn) -> Self {
        Self::Lsn(lsn)
    }
}

impl From<Timestamp> for Target {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<SystemTime> for Target {
    fn from(time: SystemTime) -> Self {
        Self::Time(time.into())
    }
}

/// A time for people.
pub(crate) fn written(time: Timestamp) -> String {
    let nanoseconds = i128::from(time.get());
    jiff::Timestamp::from_nanosecond(nanoseconds).map_or_else(|_| time.to_string(), |time| time.to_string())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "mark {name:?}"),
            Self::Lsn(lsn) => write!(f, "LSN {lsn}"),
            Self::Time(time) => f.write_str(&written(*time)),
            Self::Ago(ago) => write!(f, "{ago:?} ago"),
        }
    }
}
