use crate::format::Head;
use crate::types::Location;

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
    pub const fn at(next: Location) -> Self {
        Self { next }
    }

    /// Where the next record will be looked for.
    #[must_use]
    pub(crate) const fn next(self) -> Location {
        self.next
    }
}
