//! The first eight bytes of a record: who is writing it or that it is written, and how long it is.

/// Length of a record's header, in bytes; the word is its beginning.
pub(crate) const HEADER: u32 = 40;

const STATE_SHIFT: u32 = 62;

// Finished words: 30 bits of check, 32 of length.
const LEN_BITS: u32 = 32;
const CHECK_MASK: u64 = (1 << 30) - 1;

// Reserved words: slot 10, generation 12, check 13, and the whole record's length in eights 27 bits.
const SLOT_SHIFT: u32 = 52;
const SLOT_MASK: u64 = (1 << 10) - 1;
const GENERATION_SHIFT: u32 = 40;
const GENERATION_MASK: u64 = (1 << 12) - 1;
const SPAN_BITS: u32 = 27;
const SPAN_MASK: u64 = (1 << SPAN_BITS) - 1;
const SHORT_CHECK_MASK: u64 = (1 << (GENERATION_SHIFT - SPAN_BITS)) - 1;

/// Bytes that a record with a body of this length takes: header, body, padding.
#[must_use]
pub(crate) const fn span(len: u32) -> u64 {
    (HEADER as u64 + len as u64).next_multiple_of(8)
}

/// The part of a slot's generation that an owner is known by.
#[must_use]
pub(crate) const fn short_generation(whole: u32) -> u16 {
    (whole as u64 & GENERATION_MASK) as u16
}

/// Who writes a record: a slot of the control file, and how often it had been taken before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    /// Index of the slot, below 1024.
    pub(crate) slot: u16,
    /// Low 12 bits of the slot's generation.
    pub(crate) generation: u16,
}

/// Where a word stands. Words are checked against it, so that stray bytes are not a record.
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
    /// Somebody is writing a record.
    Reserved {
        /// Who.
        owner: Owner,
        /// Length of the body with its padding.
        len: u32,
    },
    /// Complete.
    Committed {
        /// Length of the body.
        len: u32,
    },
    /// Given up.
    Aborted {
        /// Length of the body with its padding.
        len: u32,
    },
}

/// A word as it stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word(u64);

impl Word {
    /// The end of the log, for now.
    pub(crate) const FREE: Self = Self(0);

    /// Announces a record with a body of this length, of a segment of at most 1 GiB.
    #[must_use]
    pub(crate) const fn reserved(place: Place, owner: Owner, len: u32) -> Self {
        let slot = (owner.slot as u64 & SLOT_MASK) << SLOT_SHIFT;
        let generation = (owner.generation as u64 & GENERATION_MASK) << GENERATION_SHIFT;
        let bare = 1 << STATE_SHIFT | slot | generation | ((span(len) / 8) & SPAN_MASK);
        Self(bare | (mix(place, bare) & SHORT_CHECK_MASK) << SPAN_BITS)
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
        let bare = state << STATE_SHIFT | len as u64;
        Self(bare | (mix(place, bare) & CHECK_MASK) << LEN_BITS)
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
                let generation = (self.0 >> GENERATION_SHIFT & GENERATION_MASK) as u16;
                let owner = Owner { slot, generation };
                let span = (self.0 & SPAN_MASK) as u32 * 8;
                match span.checked_sub(HEADER) {
                    Some(len) if self.0 == Self::reserved(place, owner, len).0 => {
                        Some(State::Reserved { owner, len })
                    }
                    _ => None,
                }
            }
            2 if self.0 == Self::committed(place, len).0 => Some(State::Committed { len }),
            3 if self.0 == Self::aborted(place, len).0 => Some(State::Aborted { len }),
            _ => None,
        }
    }
}

/// Bits that depend on everything else in a word, and on where it stands.
const fn mix(place: Place, bare: u64) -> u64 {
    // Two rounds of multiply and fold (the constants are those of SplitMix64): every input bit
    // reaches every output bit.
    let mut mixed = (place.segment as u64) << 32 | place.offset as u64;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= bare;
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place { segment: 3, offset: 64 };

    proptest! {
        #[test]
        fn words_come_apart_as_they_were_put_together(
            slot in 0_u16..1 << 10, generation in 0_u16..1 << 12, len in 0_u32..(1 << 30) - HEADER,
            segment: u32, offset: u32,
        ) {
            let owner = Owner { slot, generation };
            let place = Place { segment, offset };
            let padded = span(len) as u32 - HEADER;
            let reserved = Word::reserved(place, owner, len);
            prop_assert_eq!(reserved.state(place), Some(State::Reserved { owner, len: padded }));
            prop_assert_eq!(Word::reserved(place, owner, padded), reserved);
            prop_assert_eq!(Word::committed(place, len).state(place), Some(State::Committed { len }));
            prop_assert_eq!(Word::aborted(place, len).state(place), Some(State::Aborted { len }));
        }

        #[test]
        fn a_flipped_bit_never_makes_another_word(bit in 0_u32..64, len: u32) {
            for word in [Word::committed(PLACE, len), Word::aborted(PLACE, len)] {
                prop_assert_eq!(Word::from_raw(word.raw() ^ 1 << bit).state(PLACE), None);
            }
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
