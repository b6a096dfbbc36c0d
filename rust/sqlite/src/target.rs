use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use dbrewind_core::{Lsn, Timestamp};

use crate::error::Error;
use crate::time_text::{self, When};

/// Where a rewind goes to.
///
/// ```
/// use dbrewind_sqlite::Target;
/// assert_eq!("seeded".parse::<Target>()?, Target::Name("seeded".to_owned()));
/// assert_eq!("5 minutes ago".parse::<Target>()?, Target::Ago(std::time::Duration::from_secs(300)));
/// assert!("2026-11-22T07:48:00".parse::<Target>().is_err(), "in which time zone?");
/// # Ok::<(), dbrewind_sqlite::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// The mark of this name.
    Name(String),
    /// A moment, as [`Mark::lsn`](crate::Mark), [`Rewound::undo`](crate::Rewound) or
    /// [`Database::now`](crate::Database::now) gave it.
    Lsn(Lsn),
    /// The newest moment at or before this time.
    Time(Timestamp),
    /// The newest moment at or before the time so long before the call.
    Ago(Duration),
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
    type Err = Error;

    /// A time, such as `5 minutes ago`, `1h 30m ago` or `2026-11-22T07:48:00+01:00`, or else a mark's name.
    ///
    /// # Errors
    /// `DBR022` when it is meant as a time and is none.
    fn from_str(text: &str) -> Result<Self, Error> {
        match time_text::parse(text) {
            None => Ok(Self::from(text)),
            Some(Ok(When::At(time))) => Ok(Self::Time(time)),
            Some(Ok(When::Ago(ago))) => Ok(Self::Ago(ago)),
            Some(Err(what)) => Err(Error::Invalid { what }),
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
