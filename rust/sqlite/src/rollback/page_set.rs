use std::collections::HashMap;

/// A set of page numbers, 64 of them a word.
///
/// The recorder puts in no page past the extent at the newest mark: a file that is written at terabyte
/// offsets must not cost memory.
#[derive(Default, Debug)]
pub(crate) struct PageSet {
    words: HashMap<u64, u64>,
}

impl PageSet {
    /// Whether the page is in the set.
    pub(crate) fn contains(&self, page: u64) -> bool {
        self.words.get(&(page / 64)).is_some_and(|word| word & (1 << (page % 64)) != 0)
    }

    /// Puts the page in.
    pub(crate) fn insert(&mut self, page: u64) {
        *self.words.entry(page / 64).or_default() |= 1 << (page % 64);
    }

    /// Takes all pages out; memory is kept for the next ones.
    pub(crate) fn clear(&mut self) {
        self.words.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = PageSet::default();
        for page in [1, 63, 64, 65, 1 << 40] {
            assert!(!set.contains(page));
            set.insert(page);
            assert!(set.contains(page));
        }
        assert!(!set.contains(2) && !set.contains(128));
        set.clear();
        assert!(!set.contains(64));
    }
}
