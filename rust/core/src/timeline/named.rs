//! From a mark's name to the moment.

use super::Timeline;
use crate::types::{Lsn, Timestamp};

/// Why a name leads nowhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unnamed {
    /// No mark has it.
    NotFound {
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// The mark was evicted.
    Evicted {
        /// The time of the oldest moment that can be reached.
        earliest: Timestamp,
    },
    /// Recording was interrupted after it.
    Lost {
        /// When recording began again.
        since: Timestamp,
    },
}

impl Timeline {
    /// The moment that a mark names: through which one it is reached, and the one that was marked.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn named(&self, name: &str) -> Result<(Lsn, Lsn), Unnamed> {
        let Some(mark) = self.mark(name) else {
            return Err(Unnamed::NotFound { nearest: self.nearest_name(name).map(str::to_owned) });
        };
        if mark.evicted {
            let earliest = self.earliest().map_or(mark.time, |(_, time)| time);
            return Err(Unnamed::Evicted { earliest });
        }
        if mark.lost {
            let since = self.era().map_or(mark.time, |era| era.time);
            return Err(Unnamed::Lost { since });
        }
        Ok((self.reached_by(mark.lsn), mark.lsn))
    }
}
