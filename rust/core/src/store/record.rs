use std::fmt;

use crate::format::Kind;
use crate::types::{Key, Lsn, ObjectId, SegmentId};

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

/// Where a record is. Ordered as the log is; stays valid as long as the store exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Location {
    segment: u32,
    offset: u32,
}

impl Location {
    /// A place by segment and byte offset in it.
    #[must_use]
    pub(crate) const fn new(segment: u32, offset: u32) -> Self {
        Self { segment, offset }
    }

    /// The segment.
    #[must_use]
    pub const fn segment(self) -> SegmentId {
        SegmentId::new(self.segment as u64)
    }

    /// Bytes from the beginning of the segment to the record's header.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.offset
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} offset {}", self.segment, self.offset)
    }
}

/// A record as it was appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// What it says.
    pub head: Head,
    /// Where it is.
    pub at: Location,
    /// Its bytes, checked against the hash.
    pub body: Vec<u8>,
}

/// How far a reader has scanned. The default is the beginning of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Cursor {
    next: Location,
}

impl Cursor {
    /// A cursor whose next record is the one at this place or the first after it.
    #[must_use]
    pub(crate) const fn at(next: Location) -> Self {
        Self { next }
    }

    /// Where the next record will be looked for.
    #[must_use]
    pub(crate) const fn next(self) -> Location {
        self.next
    }
}
