/// What a record says. The numbers are on disk and never used again for something else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Registers an object.
    Object = 1,
    /// Content of a key from this LSN on.
    After = 2,
    /// Content of a key until just before this LSN.
    Before = 3,
    /// Content of a key from before the era.
    Base = 4,
    /// A commit of the application.
    Commit = 5,
    /// A name for an LSN.
    Mark = 6,
    /// A mark was dropped.
    Drop = 7,
    /// The state at this LSN equals the state at the target.
    Rewind = 8,
    /// A new stretch of history begins.
    Era = 9,
    /// Keys at or past this one read as zeros from here on.
    Cut = 10,
    /// Belongs to the adapter.
    Note = 11,
    /// Images above this LSN that were recorded before this do not count: their transaction came to nothing.
    Void = 12,
    /// The segment ends here; the log goes on in the next one.
    End = 255,
}

impl Kind {
    /// The kind with this number, or `None` for a number of no known kind.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Object,
            2 => Self::After,
            3 => Self::Before,
            4 => Self::Base,
            5 => Self::Commit,
            6 => Self::Mark,
            7 => Self::Drop,
            8 => Self::Rewind,
            9 => Self::Era,
            10 => Self::Cut,
            11 => Self::Note,
            12 => Self::Void,
            255 => Self::End,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_numbers_round_trip() {
        let known: Vec<Kind> = (0..=255).filter_map(Kind::from_raw).collect();
        assert_eq!(known.len(), 13);
        for kind in known {
            assert_eq!(Kind::from_raw(kind as u8), Some(kind));
        }
    }
}
