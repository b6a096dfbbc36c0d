use std::fmt;

use super::SegmentId;

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
