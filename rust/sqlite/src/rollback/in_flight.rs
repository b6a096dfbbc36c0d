/// Register 3: the change that is being made to the database file, left behind by a process that dies.
///
/// Bit 63: there is one; bit 62: it is a rewind; bit 32: its counter is known; bits 31..0: that counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InFlight {
    /// One of ours, whose intent is in the store; else a transaction of the application.
    pub(crate) rewind: bool,
    /// The change counter that the file has once it is done.
    pub(crate) counter: Option<u32>,
}

const PRESENT: u64 = 1 << 63;
const REWIND: u64 = 1 << 62;
const KNOWN: u64 = 1 << 32;

impl InFlight {
    /// What the register says; `None`: nothing is in flight.
    pub(crate) fn from_raw(raw: u64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the counter")]
        let counter = (raw & KNOWN != 0).then_some(raw as u32);
        (raw & PRESENT != 0).then_some(Self { rewind: raw & REWIND != 0, counter })
    }

    /// For the register.
    pub(crate) fn raw(self) -> u64 {
        let kind = if self.rewind { REWIND } else { 0 };
        PRESENT | kind | self.counter.map_or(0, |counter| KNOWN | u64::from(counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        assert_eq!(InFlight::from_raw(0), None);
        for rewind in [false, true] {
            for counter in [None, Some(0), Some(u32::MAX)] {
                let one = InFlight { rewind, counter };
                assert_eq!(InFlight::from_raw(one.raw()), Some(one));
            }
        }
    }
}
