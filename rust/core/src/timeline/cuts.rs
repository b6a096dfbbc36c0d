use std::ops::RangeInclusive;

use crate::types::{Extent, Key, Lsn};

/// Keys at or past `key` read as zeros from `lsn` on.
#[derive(Clone, Copy, Debug)]
struct Cut {
    lsn: Lsn,
    key: Key,
    /// How many cuts up to and including the newest older one that starts at a smaller key.
    smaller: usize,
}

/// The cuts of one era.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    /// Ascending by LSN.
    order: Vec<Cut>,
}

impl Cuts {
    /// Adds a cut, unless there is one at or below the key at this LSN already.
    pub(super) fn insert(&mut self, key: Key, lsn: Lsn) {
        if self.newest(key, lsn..=lsn).is_some() {
            return;
        }
        let late = self.order.split_off(self.order.partition_point(|cut| cut.lsn <= lsn));
        self.push(lsn, key);
        for cut in late {
            self.push(cut.lsn, cut.key);
        }
    }

    fn push(&mut self, lsn: Lsn, key: Key) {
        let mut smaller = self.order.len();
        while let Some(older) = self.nth(smaller)
            && older.key >= key
        {
            smaller = older.smaller;
        }
        self.order.push(Cut { lsn, key, smaller });
    }

    /// The last of the first `count` cuts.
    fn nth(&self, count: usize) -> Option<&Cut> {
        self.order.get(count.checked_sub(1)?)
    }

    /// The newest LSN in a range from which on the key reads as zeros.
    ///
    /// Steps only over cuts that start at smaller and smaller keys, not over all.
    pub(super) fn newest(&self, key: Key, range: RangeInclusive<Lsn>) -> Option<Lsn> {
        let mut count = self.order.partition_point(|cut| cut.lsn <= *range.end());
        loop {
            let cut = self.nth(count).filter(|cut| range.contains(&cut.lsn))?;
            if cut.key <= key {
                return Some(cut.lsn);
            }
            count = cut.smaller;
        }
    }

    /// How many keys no cut in a range of LSNs touched.
    pub(super) fn least_extent(&self, range: &RangeInclusive<Lsn>) -> Option<Extent> {
        let from = self.order.partition_point(|cut| cut.lsn < *range.start());
        let to = self.order.partition_point(|cut| cut.lsn <= *range.end());
        let keys = self.order.get(from..to)?.iter().map(|cut| cut.key).min()?;
        Some(Extent::new(keys.get().saturating_sub(1)))
    }

    /// Takes away the cuts above an LSN.
    pub(super) fn forget_above(&mut self, lsn: Lsn) {
        self.order.truncate(self.order.partition_point(|cut| cut.lsn <= lsn));
    }

    pub(super) fn shrink(&mut self) {
        self.order.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_covers_its_key_and_those_past_it() {
        let mut cuts = Cuts::default();
        cuts.insert(Key::new(4), Lsn::new(12));
        cuts.insert(Key::new(9), Lsn::new(14));
        let all = Lsn::new(11)..=Lsn::new(20);
        let cut = |key| cuts.newest(Key::new(key), all.clone()).map(Lsn::get);
        assert_eq!((cut(3), cut(4), cut(8), cut(9)), (None, Some(12), Some(12), Some(14)));
        assert_eq!(cuts.least_extent(&all), Some(Extent::new(3)));
        assert_eq!(cuts.least_extent(&(Lsn::new(15)..=Lsn::new(20))), None);
    }

    proptest! {
        #[test]
        fn forgetting_leaves_what_was_there_before(
            list in prop::collection::vec((1u64..20, 1u64..20), 0..30),
            above in 0u64..22,
            key in 1u64..22,
        ) {
            let (mut all, mut some) = (Cuts::default(), Cuts::default());
            for (key, lsn) in &list {
                all.insert(Key::new(*key), Lsn::new(*lsn));
                if *lsn <= above {
                    some.insert(Key::new(*key), Lsn::new(*lsn));
                }
            }
            all.forget_above(Lsn::new(above));
            let range = Lsn::new(0)..=Lsn::new(99);
            prop_assert_eq!(all.newest(Key::new(key), range.clone()), some.newest(Key::new(key), range));
        }

        #[test]
        fn skipping_finds_what_scanning_finds(
            list in prop::collection::vec((1u64..20, 1u64..20), 0..30),
            key in 1u64..22,
            from in 0u64..22,
            len in 0u64..22,
        ) {
            let mut cuts = Cuts::default();
            for (key, lsn) in &list {
                cuts.insert(Key::new(*key), Lsn::new(*lsn));
            }
            let scanned =
                list.iter().filter(|(cut, lsn)| *cut <= key && (from..=from + len).contains(lsn)).map(|c| c.1).max();
            let found = cuts.newest(Key::new(key), Lsn::new(from)..=Lsn::new(from + len)).map(Lsn::get);
            prop_assert_eq!(found, scanned);
        }
    }
}
