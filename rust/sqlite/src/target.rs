use std::fmt;

use dbrewind_core::Lsn;

/// Where a rewind goes to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// The mark of this name.
    Name(String),
    /// A moment, as [`Mark::lsn`](crate::Mark), [`Rewound::undo`](crate::Rewound) or
    /// [`Database::now`](crate::Database::now) gave it.
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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "mark {name:?}"),
            Self::Lsn(lsn) => write!(f, "LSN {lsn}"),
        }
    }
}
