/// Register 3: the change that is being made to the database file, left behind by a process that dies.
///
/// Bit 63: there is one; bit 62: it is a rewind; bit 61: SQLite has committed it; bits 31..0, in these two
/// cases: the change counter that it gives the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InFlight {
    /// Of the application, and not committed yet as far as we know.
    Transaction,
    /// Of the application; its journal is gone, so nobody rolls it back any more. It is being recorded.
    Committed {
        /// The change counter that the file has.
        counter: u32,
    },
    /// One of ours, whose intent is in the store.
    Rewind {
        /// The change counter that the file has once it is done.
        counter: u32,
    },
}

const PRESENT: u64 = 1 << 63;
const REWIND: u64 = 1 << 62;
const COMMITTED: u64 = 1 << 61;

impl InFlight {
    /// What the register says; `None`: nothing is in flight.
    pub(crate) fn from_raw(raw: u64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the counter")]
        let counter = raw as u32;
        if raw & PRESENT == 0 {
            None
        } else if raw & REWIND != 0 {
            Some(Self::Rewind { counter })
        } else if raw & COMMITTED != 0 {
            Some(Self::Committed { counter })
        } else {
            Some(Self::Transaction)
        }
    }

    /// For the register.
    pub(crate) fn raw(self) -> u64 {
        match self {
            Self::Transaction => PRESENT,
            Self::Committed { counter } => PRESENT | COMMITTED | u64::from(counter),
            Self::Rewind { counter } => PRESENT | REWIND | u64::from(counter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        assert_eq!(InFlight::from_raw(0), None);
        let all = [
            InFlight::Transaction,
            InFlight::Committed { counter: 7 },
            InFlight::Rewind { counter: 0 },
            InFlight::Rewind { counter: u32::MAX },
        ];
        for one in all {
            assert_eq!(InFlight::from_raw(one.raw()), Some(one));
        }
    }
}
