//! Which key is which block.

use std::collections::HashMap;

use dbrewind_core::Extent;

use crate::error::Error;

/// The key of the length.
pub(crate) const LENGTH: u64 = 1;
/// The key of the first block.
const FIRST: u64 = 2;

/// The smallest block, and the largest, in bytes.
const SIZES: std::ops::RangeInclusive<u32> = 16..=1 << 20;

/// The size of blocks, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks(u32);

impl Blocks {
    pub(crate) fn new(size: u32) -> Result<Self, Error> {
        if SIZES.contains(&size) && size.is_power_of_two() {
            return Ok(Self(size));
        }
        let what = format!("a block has a power of two from 16 to 1048576 bytes, not {size}");
        Err(Error::Invalid { what })
    }

    /// In bytes.
    pub(crate) fn size(self) -> u32 {
        self.0
    }

    /// The key of the block that a byte is in.
    pub(crate) fn key_at(self, offset: u64) -> u64 {
        offset / u64::from(self.0) + FIRST
    }

    /// The offset of a key's block.
    pub(crate) fn offset(self, key: u64) -> u64 {
        key.saturating_sub(FIRST).saturating_mul(u64::from(self.0))
    }

    /// Where a key's block begins, and how many of its bytes there are in a content of this length.
    pub(crate) fn part_of(self, key: u64, size: u64) -> (u64, usize) {
        let offset = self.offset(key);
        let there = size.saturating_sub(offset).min(u64::from(self.0));
        (offset, usize::try_from(there).unwrap_or(usize::MAX))
    }

    /// How many keys a content of so many bytes has.
    pub(crate) fn extent(self, size: u64) -> Extent {
        Extent::new(size.div_ceil(u64::from(self.0)) + LENGTH)
    }
}

/// A set of keys, 64 of them a word.
#[derive(Default, Debug)]
pub(crate) struct KeySet(HashMap<u64, u64>);

impl KeySet {
    pub(crate) fn contains(&self, key: u64) -> bool {
        self.0.get(&(key / 64)).is_some_and(|word| word & (1 << (key % 64)) != 0)
    }

    pub(crate) fn insert(&mut self, key: u64) {
        *self.0.entry(key / 64).or_default() |= 1 << (key % 64);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_back_to_blocks() {
        let blocks = Blocks::new(64).unwrap();
        for (offset, key) in [(0, 2), (63, 2), (64, 3), (1 << 40, (1 << 34) + 2)] {
            assert_eq!(blocks.key_at(offset), key);
            assert_eq!(blocks.offset(key), offset / 64 * 64);
        }
        assert_eq!([0, 1, 64, 65].map(|size| blocks.extent(size).get()), [1, 2, 2, 3]);
        for wrong in [0, 8, 48, 100, 1 << 21, u32::MAX] {
            assert!(Blocks::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = KeySet::default();
        for key in [0, 1, 63, 64, 1 << 40, u64::MAX] {
            assert!(!set.contains(key));
            set.insert(key);
            assert!(set.contains(key));
        }
        assert!(!set.contains(2));
        set.clear();
        assert!(!set.contains(64));
    }
}
