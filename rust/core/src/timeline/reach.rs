use super::Timeline;
use crate::error::Code;
use crate::format::Engine;
use crate::types::{Lsn, Timestamp};

/// Why a moment cannot be rewound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// Nothing is recorded of it: it lies past the newest moment recorded, or before the first.
    #[error("nothing is recorded of LSN {lsn}; the record runs from LSN {first} to {last}")]
    Unknown {
        /// The moment asked for.
        lsn: Lsn,
        /// The oldest moment that can be reached.
        first: Lsn,
        /// The newest moment recorded.
        last: Lsn,
    },
    /// Recording was interrupted after it.
    #[error("LSN {lsn} is lost: recording was interrupted and began again at LSN {first}")]
    Lost {
        /// The moment asked for.
        lsn: Lsn,
        /// Where recording began again.
        first: Lsn,
        /// When recording began again.
        time: Timestamp,
    },
    /// It is older than what the store keeps.
    #[error("LSN {lsn} is before the window: what was recorded before LSN {first} was evicted")]
    Evicted {
        /// The moment asked for.
        lsn: Lsn,
        /// The oldest moment that can be reached.
        first: Lsn,
        /// Its time.
        time: Timestamp,
    },
    /// It was passed over so far: [`Timeline::read_back`] reads it.
    #[error("LSN {lsn} has not been read yet")]
    Unread {
        /// The moment asked for.
        lsn: Lsn,
    },
    /// Nothing was captured at it, so its state is known in parts only.
    #[error(
        "LSN {lsn} was not marked: in a rollback journal mode only marks, and both ends of a rewind, can be \
         reached, and each commit where moments=\"commits\" was asked for"
    )]
    NotAMoment {
        /// The moment asked for.
        lsn: Lsn,
    },
}

impl Unreachable {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Lost { .. } => Code::MarkLost,
            Self::Evicted { .. } => Code::BeforeWindow,
            Self::Unread { .. } => Code::Internal,
            Self::Unknown { .. } | Self::NotAMoment { .. } => Code::MarkNotFound,
        }
    }
}

impl Timeline {
    /// Whether the object can be rewound to a moment.
    ///
    /// In an era of after-images that is every commit. In one of before-images it is the moments from
    /// which on images were captured: those with a mark (that has not been dropped), the beginning of the
    /// era and its end, once another has begun, both ends of every rewind, and commits whose record says so
    /// ([`KEPT`](crate::KEPT)). Another newest commit is not among them: what a transaction in flight overwrites is captured for the newest of those moments only.
    ///
    /// # Errors
    /// The reason why not.
    pub fn reachable(&self, lsn: Lsn) -> Result<(), Unreachable> {
        let last = self.last();
        let Some(oldest) = self.eras.first().map(|log| log.era) else {
            return Err(Unreachable::Unknown { lsn, first: last, last });
        };
        let first = oldest.first;
        let found = self.place(lsn).and_then(|place| Some((place.era, self.era_log(place.era)?)));
        let Some((era, log)) = found else {
            return Err(match self.interrupted.filter(|(again, _)| lsn < *again) {
                Some((first, time)) => Unreachable::Lost { lsn, first, time },
                None if self.is_cut() && lsn > Lsn::ORIGIN => {
                    Unreachable::Evicted { lsn, first, time: oldest.time }
                }
                None => Unreachable::Unknown { lsn, first, last },
            });
        };
        // An LSN that was announced and came to nothing may be marked: nothing was recorded between, so the state is the newest one's.
        let is_gap = log.era.engine == Engine::Rollback && self.marks.at(lsn).is_some();
        if lsn > last && !is_gap {
            return Err(Unreachable::Unknown { lsn, first, last });
        }
        let known = self.marks.at(lsn).is_some()
            || match log.era.engine {
                Engine::Wal => log.is_moment(lsn),
                Engine::Rollback => {
                    lsn == log.era.first
                        || self.is_end_of_era(era, lsn)
                        || log.is_kept(lsn)
                        || self.left.contains(&lsn)
                        || self.rewind_at(lsn).is_some()
                }
            };
        match known {
            true => Ok(()),
            false if !log.knows(lsn) => Err(Unreachable::Unread { lsn }),
            false => Err(Unreachable::NotAMoment { lsn }),
        }
    }

    /// Whether this is the last moment of an era that has ended: the state that the next one began with, which is kept.
    pub(super) fn is_end_of_era(&self, era: usize, lsn: Lsn) -> bool {
        era + 1 < self.eras.len() && self.eras.get(era).is_some_and(|log| log.last().lsn == lsn)
    }
}
