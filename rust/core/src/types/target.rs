use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::error::Code;
use crate::types::time_text::{self, When};
use crate::types::{Lsn, Timestamp};

/// What a rewind may do.
///
/// ```
/// use dbrewind_core::RewindOptions;
/// let options = RewindOptions { use_earliest: true, ..Default::default() };
/// assert_eq!(options.timeout, None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RewindOptions {
    /// Instead of the timeout that was opened or attached with.
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
///
/// ```
/// use dbrewind_core::Target;
/// assert_eq!("seeded".parse::<Target>()?, Target::Name("seeded".to_owned()));
/// assert_eq!("5 minutes ago".parse::<Target>()?, Target::Ago(std::time::Duration::from_secs(300)));
/// assert!("2026-11-22T07:48:00".parse::<Target>().is_err(), "in which time zone?");
/// # Ok::<(), dbrewind_core::TargetError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// The mark of this name.
    Name(String),
    /// A moment, as a mark, the `undo` of a rewind, or `now` gave it; the latter, where only marks and both ends of rewinds are kept, for as long
    /// as it is the newest one.
    Lsn(Lsn),
    /// The newest moment at or before this time that can be reached: the state that was there then, or, where only marks and both ends of rewinds are kept,
    /// before then. If nothing has happened since, the present.
    Time(Timestamp),
    /// The same for the time so long before the call.
    Ago(Duration),
}

/// A text that is meant as a time, and is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

impl TargetError {
    /// `DBR022`.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::InvalidArgument
    }
}

impl Target {
    /// Whether a text is meant as a time, well written or not: it begins with a digit and ends with the word `ago`, or it begins with
    /// a date and an hour. No mark gets such a name.
    #[must_use]
    pub fn reads_as_time(text: &str) -> bool {
        time_text::reads_as_time(text)
    }
}

impl From<&str> for Target {
    /// A mark's name, whatever it reads as.
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

impl FromStr for Target {
    type Err = TargetError;

    /// A time, such as `5 minutes ago`, `1h 30m ago` or `2026-11-22T07:48:00+01:00`, or else a mark's name.
    ///
    /// # Errors
    /// `DBR022` when it is meant as a time and is none.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        match time_text::parse(text) {
            None => Ok(Self::from(text)),
            Some(Ok(When::At(time))) => Ok(Self::Time(time)),
            Some(Ok(When::Ago(ago))) => Ok(Self::Ago(ago)),
            Some(Err(what)) => Err(TargetError(what)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "mark {name:?}"),
            Self::Lsn(lsn) => write!(f, "LSN {lsn}"),
            Self::Time(time) => f.write_str(&time_text::written(*time)),
            Self::Ago(ago) => write!(f, "{} ago", time_text::in_units(*ago)),
        }
    }
}
