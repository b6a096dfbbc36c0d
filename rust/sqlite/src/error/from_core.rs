//! What the store and the timeline answer, as errors of a database.

use std::time::Duration;

use dbrewind_core::{PlanError, Refused, TargetError, Unreachable};

use super::Error;

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Self {
        Self::Invalid { what: error.to_string() }
    }
}

impl From<Refused> for Error {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Interrupted => Self::Interrupted,
            Refused::InsideAWait => Self::Busy {
                what: "a signal handler called while a call of the same thread was waiting".to_owned(),
                holder: None,
                waited: Duration::ZERO,
            },
        }
    }
}

impl From<Unreachable> for Error {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::Lost { lsn, time, .. } => Self::MarkLost { what: format!("LSN {lsn}"), since: time },
            Unreachable::Unknown { lsn, .. } | Unreachable::NotAMoment { lsn } => Self::NoSuchMoment { lsn },
            Unreachable::Evicted { lsn, time, .. } => {
                let what = format!("LSN {lsn}");
                Self::BeforeWindow { what, earliest: time, begins: false, rewinding: false }
            }
            other => Self::internal(other.to_string()),
        }
    }
}

impl From<PlanError> for Error {
    fn from(why: PlanError) -> Self {
        match why {
            PlanError::Unreachable(why) => why.into(),
            other => Self::Plan(other),
        }
    }
}
