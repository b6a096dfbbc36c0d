use crate::error::{Code, ReadError};
use crate::format::{BodyError, Kind};
use crate::types::{Location, Lsn};

/// Why the history of an object could not be read. What was read before is forgotten: the next
/// [`Timeline::catch_up`](super::Timeline::catch_up) begins anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimelineError {
    /// A record could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record's body is not what its kind says.
    #[error("the record at {at} is damaged: {source}; nothing was changed")]
    Body {
        /// The record.
        at: Location,
        /// What is wrong with it.
        source: BodyError,
    },
    /// A record contradicts those before it.
    #[error("the {kind:?} record of LSN {lsn} at {at} cannot be there: {why}; nothing was changed")]
    Misplaced {
        /// The record's kind.
        kind: Kind,
        /// The record's LSN.
        lsn: Lsn,
        /// The record.
        at: Location,
        /// What it contradicts.
        why: &'static str,
    },
}

impl TimelineError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Read(source) => source.code(),
            Self::Body { .. } | Self::Misplaced { .. } => Code::StoreDamaged,
        }
    }
}
