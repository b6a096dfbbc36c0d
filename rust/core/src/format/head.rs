use super::Kind;
use crate::types::{Key, Lsn, ObjectId};

/// What a record says, without its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// What the record says.
    pub kind: Kind,
    /// Eight bits that belong to the kind.
    pub flags: u8,
    /// Whose record it is.
    pub object: ObjectId,
    /// Which item; what it means depends on the kind.
    pub key: Key,
    /// When.
    pub lsn: Lsn,
}

impl Head {
    /// A head without flags.
    #[must_use]
    pub const fn new(kind: Kind, object: ObjectId, key: Key, lsn: Lsn) -> Self {
        Self { kind, flags: 0, object, key, lsn }
    }
}

/// Flag of a `COMMIT` in an era of before-images: from it on images were captured for it, so it can be reached.
pub const KEPT: u8 = 1;

/// Flag of a `MARK`: what is needed for it is not evicted.
pub const PINNED: u8 = 1;

/// Flag of a `MARK` that was carried forward: in place of the adapter's bytes it has the LSN of a later moment with the same state,
/// through which the mark is reached when its own moment is gone.
pub const MOVED: u8 = 2;
