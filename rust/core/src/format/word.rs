//! The first eight bytes of a record: who is writing it or that it is written, and how long it is.

/// Length of a record's header, in bytes; the word is its beginning.
pub(crate) const HEADER: u32 = 40;

const LEN_BITS: u32 = 32;
const STATE_SHIFT: u32 = 62;
const SLOT_SHIFT: u32 = 48;
const SLOT_MASK: u64 = (1 << 14) - 1;
const GENERATION_SHIFT: u32 = 32;
const CHECK_MASK: u64 = (1 << 30) - 1;

const _: () = assert!(SLOT_SHIFT - GENERATION_SHIFT == 16 && STATE_SHIFT - SLOT_SHIFT == 14);

/// Bytes that a record with a body of this length takes: header, body, padding.
#[must_use]
pub(crate) const fn span(len: u32) -> u64 {
    (HEADER as u64 + len as u64).next_multiple_of(8)
}

/// Who writes a record: a slot of the control file, and how often it had been taken before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    /// Index of the slot.
    pub(crate) slot: u16,
    /// Low bits of the slot's generation.
    pub(crate) generation: u16,
}

/// Where a word stands. Finished words are checked against it, so that stray bytes are not a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Segment id.
    pub(crate) segment: u32,
    /// Offset in the segment, in bytes.
    pub(crate) offset: u32,
}

/// A word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Nobody has written here.
    Free,
    /// Somebody is writing a body of this length.
    Reserved {
        /// Who.
        owner: Owner,
        /// Length of the body.
        len: u32,
    },
    /// Complete.
    Committed {
        /// Length of the body.
        len: u32,
    },
    /// Given up.
    Aborted {
        /// Length of the body.
        len: u32,
    },
}

/// A word as it stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word(u64);

impl Word {
    /// The end of the log, for now.
    pub(crate) const FREE: Self = Self(0);

    /// Announces a record.
    #[must_use]
    pub(crate) const fn reserved(owner: Owner, len: u32) -> Self {
        let slot = (owner.slot as u64 & SLOT_MASK) << SLOT_SHIFT;
        Self(1 << STATE_SHIFT | slot | (owner.generation as u64) << GENERATION_SHIFT | len as u64)
    }

    /// Makes a record of this length count.
    #[must_use]
    pub(crate) const fn committed(place: Place, len: u32) -> Self {
        Self::finished(2, place, len)
    }

    /// Gives a record of this length up.
    #[must_use]
    pub(crate) const fn aborted(place: Place, len: u32) -> Self {
        Self::finished(3, place, len)
    }

    const fn finished(state: u64, place: Place, len: u32) -> Self {
        Self(state << STATE_SHIFT | check(state, place, len) << LEN_BITS | len as u64)
    }

    /// A word from the log.
    #[must_use]
    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The word for the log.
    #[must_use]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// Takes the word apart, or answers `None` when nobody wrote such a word at this place.
    #[must_use]
    pub(crate) const fn state(self, place: Place) -> Option<State> {
        let len = self.0 as u32;
        match self.0 >> STATE_SHIFT {
            0 if self.0 == 0 => Some(State::Free),
            1 => {
                let slot = (self.0 >> SLOT_SHIFT & SLOT_MASK) as u16;
                let generation = (self.0 >> GENERATION_SHIFT) as u16;
                Some(State::Reserved { owner: Owner { slot, generation }, len })
            }
            2 if self.0 == Self::committed(place, len).0 => Some(State::Committed { len }),
            3 if self.0 == Self::aborted(place, len).0 => Some(State::Aborted { len }),
            _ => None,
        }
    }
}

/// Thirty bits that depend on everything else in a finished word, and on where it stands.
const fn check(state: u64, place: Place, len: u32) -> u64 {
    // Two rounds of multiply and fold (the constants are those of SplitMix64): every input bit
    // reaches every output bit.
    let mut mixed = (place.segment as u64) << 32 | place.offset as u64;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= state << 32 | len as u64;
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed >> 31 & CHECK_MASK
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place { segment: 3, offset: 64 };

    proptest! {
        #[test]
        fn words_come_apart_as_they_were_put_together(
            slot in 0_u16..1 << 14, generation: u16, len: u32, segment: u32, offset: u32,
        ) {
            let owner = Owner { slot, generation };
            let place = Place { segment, offset };
            prop_assert_eq!(Word::reserved(owner, len).state(place), Some(State::Reserved { owner, len }));
            prop_assert_eq!(Word::committed(place, len).state(place), Some(State::Committed { len }));
            prop_assert_eq!(Word::aborted(place, len).state(place), Some(State::Aborted { len }));
        }

        #[test]
        fn a_flipped_bit_never_makes_another_finished_word(bit in 0_u32..64, len: u32) {
            let flipped = Word::from_raw(Word::committed(PLACE, len).raw() ^ 1 << bit);
            let state = flipped.state(PLACE);
            prop_assert!(!matches!(state, Some(State::Committed { .. } | State::Aborted { .. })), "{:?}", state);
        }
    }

    #[test]
    fn a_finished_word_counts_only_where_it_was_written() {
        let elsewhere = Place { segment: 3, offset: 72 };
        assert_eq!(Word::committed(PLACE, 9).state(elsewhere), None);
    }

    #[test]
    fn only_zero_is_free() {
        assert_eq!(Word::FREE.state(PLACE), Some(State::Free));
        assert_eq!(Word::from_raw(1).state(PLACE), None);
    }
}
