use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::types::{Key, Location, Lsn};

/// One image of one key. Halves keep it at 20 bytes: a long history holds millions.
#[derive(Clone, Copy, Debug)]
struct Touch {
    lsn_low: u32,
    lsn_high: u32,
    key: u32,
    at: Location,
}

const _: () = assert!(size_of::<Touch>() == 20);

impl Touch {
    fn new(lsn: Lsn, key: u32, at: Location) -> Self {
        let raw = lsn.get();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of one number")]
        Self { lsn_low: raw as u32, lsn_high: (raw >> 32) as u32, key, at }
    }

    fn lsn(&self) -> Lsn {
        Lsn::new(u64::from(self.lsn_high) << 32 | u64::from(self.lsn_low))
    }
}

/// A key's touches: their positions in the LSN order, ascending.
#[derive(Clone, Debug)]
struct KeyTouches {
    key: Key,
    order: Vec<u32>,
}

/// The images of one era, found by LSN and by key.
///
/// Every image costs 20 bytes and an index of 4, every key about 60. For one key and one LSN only the
/// first image in the log is kept: two copies of an after-image are equal, and of two before-images the
/// first is the older content.
#[derive(Clone, Debug, Default)]
pub(super) struct Touches {
    /// Ascending by LSN.
    order: Vec<Touch>,
    by_key: Vec<KeyTouches>,
    ids: HashMap<Key, u32>,
    /// Where in `order` the touches with the newest LSN begin.
    newest_from: u32,
}

/// More touches in one era than 32 bits count.
#[derive(Debug)]
pub(super) struct TooMany;

impl Touches {
    /// Adds an image, unless there is one of this key and LSN already.
    ///
    /// Amortized O(1) in LSN order. A late image between others costs O(images); that happens only when
    /// two writers of one record raced and the first one failed.
    pub(super) fn insert(&mut self, key: Key, lsn: Lsn, at: Location) -> Result<(), TooMany> {
        let position = u32::try_from(self.order.len()).map_err(|_| TooMany)?;
        let id = match self.ids.get(&key) {
            Some(&id) => id,
            None => {
                let id = u32::try_from(self.by_key.len()).map_err(|_| TooMany)?;
                self.ids.insert(key, id);
                self.by_key.push(KeyTouches { key, order: Vec::new() });
                id
            }
        };
        let newest = self.order.last().map(Touch::lsn);
        if newest.is_none_or(|newest| newest < lsn) {
            self.newest_from = position;
        } else if newest == Some(lsn) {
            // The common case: told from the positions alone, without a look at touches long out of the caches.
            if self.of(key).last().is_some_and(|&last| last >= self.newest_from) {
                return Ok(());
            }
        } else {
            return self.insert_late(key, id, lsn, at);
        }
        self.order.push(Touch::new(lsn, id, at));
        self.by_key.get_mut(id as usize).ok_or(TooMany)?.order.push(position);
        Ok(())
    }

    fn insert_late(&mut self, key: Key, id: u32, lsn: Lsn, at: Location) -> Result<(), TooMany> {
        if self.newest(key, lsn..=lsn).is_none() {
            let place = self.order.partition_point(|touch| touch.lsn() <= lsn);
            self.order.insert(place, Touch::new(lsn, id, at));
            self.newest_from = self.newest_from.checked_add(1).ok_or(TooMany)?;
            self.index_again();
        }
        Ok(())
    }

    fn index_again(&mut self) {
        for touches in &mut self.by_key {
            touches.order.clear();
        }
        for (position, touch) in (0u32..).zip(&self.order) {
            if let Some(touches) = self.by_key.get_mut(touch.key as usize) {
                touches.order.push(position);
            }
        }
    }

    fn of(&self, key: Key) -> &[u32] {
        let touches = self.ids.get(&key).and_then(|&id| self.by_key.get(id as usize));
        touches.map_or(&[], |touches| touches.order.as_slice())
    }

    fn touch(&self, position: u32) -> Option<&Touch> {
        self.order.get(position as usize)
    }

    fn lsn_at(&self, position: u32) -> Lsn {
        self.touch(position).map_or(Lsn::ORIGIN, Touch::lsn)
    }

    /// How many of a key's touches are not above an LSN. Searched from the newest on, in growing steps: most
    /// questions are about what has just been.
    fn past(&self, positions: &[u32], lsn: Lsn) -> usize {
        let is_past = |&position: &u32| self.lsn_at(position) <= lsn;
        let (mut upto, mut step) = (positions.len(), 1);
        loop {
            let from = upto.saturating_sub(step);
            let stretch = positions.get(from..upto).unwrap_or(&[]);
            if from == 0 || stretch.first().is_some_and(is_past) {
                return from + stretch.partition_point(is_past);
            }
            (upto, step) = (from, step * 2);
        }
    }

    /// The newest image of a key in a range of LSNs.
    pub(super) fn newest(&self, key: Key, range: RangeInclusive<Lsn>) -> Option<(Lsn, Location)> {
        let positions = self.of(key);
        let past = self.past(positions, *range.end());
        let touch = self.touch(*positions.get(past.checked_sub(1)?)?)?;
        range.contains(&touch.lsn()).then(|| (touch.lsn(), touch.at))
    }

    /// The first image of a key above an LSN.
    pub(super) fn first_above(&self, key: Key, lsn: Lsn) -> Option<Location> {
        let positions = self.of(key);
        Some(self.touch(*positions.get(self.past(positions, lsn))?)?.at)
    }

    /// Whether a key has an image above an LSN.
    pub(super) fn any_above(&self, key: Key, lsn: Lsn) -> bool {
        self.of(key).last().is_some_and(|&position| self.lsn_at(position) > lsn)
    }

    /// Adds the keys of all images in a range of LSNs, each at least once.
    ///
    /// Costs O(images in the range), or O(log images of the key) for every key of the era: what is less.
    pub(super) fn keys_in(&self, range: RangeInclusive<Lsn>, into: &mut Vec<Key>) {
        let from = self.order.partition_point(|touch| touch.lsn() < *range.start());
        let to = self.order.partition_point(|touch| touch.lsn() <= *range.end());
        let touches = self.order.get(from..to).unwrap_or(&[]);
        if touches.len() <= self.by_key.len() {
            let keys = touches.iter().filter_map(|touch| self.by_key.get(touch.key as usize));
            into.extend(keys.map(|of| of.key));
            return;
        }
        let touched = self.by_key.iter().filter(|of| {
            let before = of.order.partition_point(|&position| (position as usize) < from);
            of.order.get(before).is_some_and(|&position| (position as usize) < to)
        });
        into.extend(touched.map(|of| of.key));
    }

    /// Takes away the images above an LSN.
    pub(super) fn forget_above(&mut self, lsn: Lsn) {
        while let Some(touch) = self.order.pop_if(|touch| touch.lsn() > lsn) {
            if let Some(touches) = self.by_key.get_mut(touch.key as usize) {
                touches.order.pop();
            }
        }
        let newest = self.order.last().map_or(Lsn::ORIGIN, Touch::lsn);
        let from = self.order.partition_point(|touch| touch.lsn() < newest);
        self.newest_from = u32::try_from(from).unwrap_or(u32::MAX);
    }

    /// The image with the highest LSN.
    pub(super) fn last(&self) -> Option<(Lsn, Location)> {
        self.order.last().map(|touch| (touch.lsn(), touch.at))
    }

    /// Gives back what growing left over; for an era that has ended.
    pub(super) fn shrink(&mut self) {
        self.order.shrink_to_fit();
        for touches in &mut self.by_key {
            touches.order.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touches(of: &[(u64, u64, u32)]) -> Touches {
        let mut touches = Touches::default();
        for &(key, lsn, at) in of {
            touches.insert(Key::new(key), Lsn::new(lsn), Location::new(1, at)).unwrap();
        }
        touches
    }

    fn newest(touches: &Touches, key: u64, from: u64, to: u64) -> Option<u32> {
        touches.newest(Key::new(key), Lsn::new(from)..=Lsn::new(to)).map(|(_, at)| at.offset())
    }

    fn keys(touches: &Touches, from: u64, to: u64) -> Vec<u64> {
        let mut keys = Vec::new();
        touches.keys_in(Lsn::new(from)..=Lsn::new(to), &mut keys);
        keys.into_iter().map(Key::get).collect()
    }

    #[test]
    fn ranges_include_both_ends() {
        let touches = touches(&[(1, 3, 10), (2, 4, 20), (1, 5, 30)]);
        assert_eq!(newest(&touches, 1, 3, 4), Some(10));
        assert_eq!(newest(&touches, 1, 4, 4), None);
        assert_eq!(newest(&touches, 1, 1, 5), Some(30));
        assert_eq!(newest(&touches, 9, 1, 5), None);
        assert_eq!(keys(&touches, 3, 4), [1, 2]);
        assert_eq!(keys(&touches, 4, 9), [2, 1]);
    }

    #[test]
    fn the_first_of_equal_ones_stays() {
        let touches = touches(&[(1, 3, 10), (1, 5, 20), (1, 3, 30), (1, 5, 40)]);
        assert_eq!(newest(&touches, 1, 3, 3), Some(10));
        assert_eq!(newest(&touches, 1, 5, 5), Some(20));
        assert_eq!(keys(&touches, 1, 9), [1]);
    }

    #[test]
    fn a_late_one_takes_its_place() {
        let touches = touches(&[(1, 3, 10), (2, 9, 20), (1, 9, 30), (1, 6, 40), (3, 5, 50)]);
        assert_eq!(newest(&touches, 1, 1, 8), Some(40));
        assert_eq!(newest(&touches, 1, 1, 9), Some(30));
        assert_eq!(newest(&touches, 2, 1, 9), Some(20));
        assert_eq!(newest(&touches, 3, 1, 9), Some(50));
        assert_eq!(keys(&touches, 4, 8), [3, 1]);
    }

    #[test]
    fn after_a_late_one_the_newest_are_still_told_from_the_others() {
        let touches = touches(&[(1, 3, 10), (2, 9, 20), (3, 5, 30), (3, 9, 40), (2, 9, 50)]);
        assert_eq!(newest(&touches, 3, 1, 9), Some(40));
        assert_eq!(newest(&touches, 2, 1, 9), Some(20));
    }

    /// Whatever the order of arrival, each question has the answer of a plain list.
    #[test]
    fn answers_are_those_of_a_plain_list() {
        let mut state = 4711_u64;
        let mut draw = |upto: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % upto
        };
        let (mut found, mut plain) = (Touches::default(), Vec::<(u64, u64, u32)>::new());
        let mut now = 1;
        for at in 0..3000 {
            now += draw(2);
            let (key, lsn) = (draw(7), if draw(20) == 0 { 1 + draw(now) } else { now });
            if draw(100) == 0 {
                found.forget_above(Lsn::new(lsn));
                plain.retain(|touch| touch.1 <= lsn);
                now = plain.iter().map(|touch| touch.1).max().unwrap_or(1);
                continue;
            }
            found.insert(Key::new(key), Lsn::new(lsn), Location::new(1, at)).unwrap();
            if !plain.iter().any(|touch| (touch.0, touch.1) == (key, lsn)) {
                plain.push((key, lsn, at));
            }
            let (key, from, to) = (draw(8), draw(now + 2), draw(now + 2));
            let of = || plain.iter().filter(|touch| touch.0 == key);
            let expected = of().filter(|touch| (from..=to).contains(&touch.1)).max_by_key(|touch| touch.1);
            assert_eq!(newest(&found, key, from, to), expected.map(|touch| touch.2));
            let expected = of().filter(|touch| touch.1 > from).min_by_key(|touch| touch.1);
            let above = found.first_above(Key::new(key), Lsn::new(from)).map(Location::offset);
            assert_eq!(above, expected.map(|touch| touch.2));
            let sorted =
                |keys: &mut dyn Iterator<Item = u64>| keys.collect::<std::collections::BTreeSet<_>>();
            let of = || plain.iter().filter(|touch| (from..=to).contains(&touch.1)).map(|touch| touch.0);
            assert_eq!(sorted(&mut keys(&found, from, to).into_iter()), sorted(&mut of()));
        }
        assert!(plain.len() > 1000);
    }

    #[test]
    fn those_above_an_lsn_are_forgotten_and_others_take_their_place() {
        let mut touches = touches(&[(1, 3, 10), (2, 4, 20), (1, 5, 30), (1, 6, 40)]);
        assert_eq!(touches.last().map(|(lsn, at)| (lsn.get(), at.offset())), Some((6, 40)));
        touches.forget_above(Lsn::new(3));
        assert_eq!((keys(&touches, 1, 9), newest(&touches, 1, 1, 9)), (vec![1], Some(10)));
        touches.insert(Key::new(2), Lsn::new(4), Location::new(1, 50)).unwrap();
        touches.insert(Key::new(1), Lsn::new(5), Location::new(1, 60)).unwrap();
        assert_eq!((newest(&touches, 2, 1, 9), newest(&touches, 1, 1, 9)), (Some(50), Some(60)));
        touches.forget_above(Lsn::new(0));
        assert_eq!((touches.last(), keys(&touches, 1, 9)), (None, vec![]));
    }

    #[test]
    fn above_is_strict() {
        let touches = touches(&[(1, 3, 10), (1, 5, 20)]);
        let above = |lsn| touches.first_above(Key::new(1), Lsn::new(lsn)).map(Location::offset);
        assert_eq!((above(0), above(3), above(5)), (Some(10), Some(20), None));
        assert!(touches.any_above(Key::new(1), Lsn::new(4)));
        assert!(!touches.any_above(Key::new(1), Lsn::new(5)));
    }
}
