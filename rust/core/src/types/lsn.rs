use std::fmt;

/// A moment in the history of **one object**: log sequence number.
///
/// Strictly increasing with every commit and every rewind of that object; not dense, and not a byte
/// offset. LSNs of different objects are not comparable.
///
/// ```
/// use dbrewind_core::Lsn;
/// assert!(Lsn::new(7) < Lsn::new(8));
/// assert_eq!(Lsn::ORIGIN.next(), Some(Lsn::new(1)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// Before the first recorded change.
    pub const ORIGIN: Self = Self(0);

    /// The LSN after this one, or `None` at the end of the number space.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Wraps a raw number.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The raw number, as it is written to disk.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
