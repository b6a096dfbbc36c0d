use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::nearest::nearest;
use crate::types::{Extent, Location, Lsn, MarkName, Timestamp};

/// A mark as it was set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkEntry {
    /// Its name.
    pub name: MarkName,
    /// The marked moment.
    pub lsn: Lsn,
    /// When it was set.
    pub time: Timestamp,
    /// How many keys the object had at the marked moment.
    pub extent: Extent,
    /// The adapter's bytes.
    pub note: Box<[u8]>,
    /// Recording was interrupted after it: it can no longer be reached.
    pub lost: bool,
    /// It is before the window: it can no longer be reached.
    pub evicted: bool,
    /// It keeps what it needs from being evicted.
    pub pinned: bool,
    /// A later moment with the same state, through which it is reached when its own is evicted.
    pub stand_in: Option<Lsn>,
}

/// When a mark was set, among the others: the same for those who have read the original and for those who have read a copy
/// that was carried forward, which stands behind marks that were set later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Turn {
    /// Of what it marked: each mark is of its present.
    lsn: Lsn,
    /// Those of one moment have times that grow (`Store::next_time`).
    time: Timestamp,
    /// As it was read.
    number: u64,
}

impl Turn {
    const FIRST: Self = Self { lsn: Lsn::ORIGIN, time: Timestamp::new(0), number: 0 };
    const LAST: Self = Self { lsn: Lsn::new(u64::MAX), time: Timestamp::new(u64::MAX), number: u64::MAX };
}

/// The marks that have not been dropped, in the order they were set.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    entries: BTreeMap<Turn, MarkEntry>,
    by_name: HashMap<MarkName, Turn>,
    /// Those that are not lost.
    by_lsn: BTreeSet<(Lsn, Turn)>,
    /// By the moments that a rewind to them may name.
    by_state: BTreeSet<(Lsn, Turn)>,
    next: u64,
    /// Those that were carried forward.
    copied: BTreeSet<Turn>,
    /// Records of marks whose name was taken.
    refused: BTreeSet<Location>,
    /// How often a mark was set or dropped.
    changes: u64,
}

impl Marks {
    /// Adds a mark, unless its name is taken: of two that were set at once the first in the log counts, so that all
    /// readers agree.
    /// `copied`: it was carried forward, and gives way to a mark that was set since.
    /// `first`: the oldest moment that can be reached; what is there is not before it.
    pub(super) fn insert(&mut self, at: Location, entry: MarkEntry, copied: bool, first: Lsn) {
        if let Some(turn) = self.by_name.get(&entry.name) {
            if copied || !self.copied.contains(turn) {
                if let (Some(stand_in), true) = (entry.stand_in, copied) {
                    self.moved(&entry.name, entry.lsn, stand_in, first);
                }
                self.refused.insert(at);
                return;
            }
            self.remove(&entry.name);
        }
        self.changes += 1;
        let turn = Turn { lsn: entry.lsn, time: entry.time, number: self.next };
        self.next += 1;
        if copied {
            self.copied.insert(turn);
        }
        self.by_name.insert(entry.name.clone(), turn);
        if !entry.lost && !entry.evicted {
            self.by_lsn.insert((entry.lsn, turn));
        }
        if !entry.lost {
            self.by_state
                .extend([Some(entry.lsn), entry.stand_in].into_iter().flatten().map(|lsn| (lsn, turn)));
        }
        self.entries.insert(turn, entry);
    }

    pub(super) fn remove(&mut self, name: &MarkName) {
        if let Some(turn) = self.by_name.remove(name)
            && let Some(entry) = self.entries.remove(&turn)
        {
            self.changes += 1;
            self.by_lsn.remove(&(entry.lsn, turn));
            for lsn in [Some(entry.lsn), entry.stand_in].into_iter().flatten() {
                self.by_state.remove(&(lsn, turn));
            }
        }
    }

    /// How often a mark was set or dropped, as far as it was read.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// They are about to be read anew, maybe others: to whoever counts that is a change, too.
    pub(super) fn read_anew(&mut self) {
        *self = Self { changes: self.changes + 1, ..Self::default() };
    }

    /// A copy of a mark says through which moment it is reached.
    pub(super) fn moved(&mut self, name: &MarkName, lsn: Lsn, stand_in: Lsn, first: Lsn) {
        let turn = self.by_name.get(name).copied();
        let is_it = |turn: &Turn| self.entries.get(turn).is_some_and(|entry| entry.lsn == lsn);
        if let Some(turn) = turn.filter(is_it) {
            self.stand_in(turn, stand_in, first);
        }
    }

    /// Somebody went back to a moment.
    pub(super) fn rewound(&mut self, target: Lsn, rewind: Lsn, first: Lsn) {
        let there = self.by_state.range((target, Turn::FIRST)..=(target, Turn::LAST));
        let there: Vec<Turn> = there.map(|(_, turn)| *turn).collect();
        for turn in there {
            self.stand_in(turn, rewind, first);
        }
    }

    fn stand_in(&mut self, turn: Turn, stand_in: Lsn, first: Lsn) {
        let Some(entry) = self.entries.get_mut(&turn).filter(|entry| !entry.lost) else { return };
        if stand_in <= entry.stand_in.unwrap_or(entry.lsn) {
            return;
        }
        if let Some(old) = entry.stand_in.replace(stand_in) {
            self.by_state.remove(&(old, turn));
        }
        entry.evicted &= stand_in < first;
        self.by_state.insert((stand_in, turn));
    }

    /// The moment through which a marked one, which is before this LSN, is reached.
    pub(super) fn reached_by(&self, lsn: Lsn, first: Lsn) -> Option<Lsn> {
        let there = self.by_state.range((lsn, Turn::FIRST)..=(lsn, Turn::LAST));
        let mut there = there.filter_map(|(_, turn)| self.entries.get(turn));
        there.find_map(|entry| entry.stand_in.filter(|stand_in| entry.lsn == lsn && *stand_in >= first))
    }

    /// Recording was interrupted: none of the marks so far can be reached.
    pub(super) fn lose_all(&mut self) {
        self.by_lsn.clear();
        self.by_state.clear();
        for entry in self.entries.values_mut() {
            // Whether it was evicted as well, not everybody can tell: its era may have gone before anybody read it.
            (entry.lost, entry.evicted) = (true, false);
        }
    }

    /// What is before this LSN was evicted.
    pub(super) fn evict_below(&mut self, first: Lsn) {
        for (turn, entry) in self.entries.iter_mut().filter(|(_, entry)| !entry.lost) {
            entry.evicted = entry.stand_in.unwrap_or(entry.lsn) < first;
            if entry.lsn >= first {
                self.by_lsn.insert((entry.lsn, *turn));
            }
        }
        self.by_lsn = self.by_lsn.split_off(&(first, Turn::FIRST));
    }

    /// A mark of this moment that can be reached.
    pub(super) fn at(&self, lsn: Lsn) -> Option<&MarkEntry> {
        let (_, turn) = self.by_lsn.range((lsn, Turn::FIRST)..=(lsn, Turn::LAST)).next_back()?;
        self.entries.get(turn)
    }

    /// The newest moment at or below this one that is marked.
    pub(super) fn at_or_below(&self, lsn: Lsn) -> Option<Lsn> {
        Some(self.by_lsn.range(..=(lsn, Turn::LAST)).next_back()?.0)
    }

    /// The newest moment above this one that was marked at or before a time.
    pub(super) fn newest_above(&self, lsn: Lsn, time: Timestamp) -> Option<Lsn> {
        let mut above = self.by_lsn.range((lsn, Turn::FIRST)..).rev();
        let early = above.find(|(_, turn)| self.entries.get(turn).is_some_and(|entry| entry.time <= time));
        early.map(|(marked, _)| *marked).filter(|marked| *marked > lsn)
    }

    /// When this moment was marked first.
    pub(super) fn oldest_time(&self, lsn: Lsn) -> Option<Timestamp> {
        let numbers = self.by_lsn.range((lsn, Turn::FIRST)..=(lsn, Turn::LAST));
        numbers.filter_map(|(_, turn)| Some(self.entries.get(turn)?.time)).min()
    }

    /// Whether this record's name was taken.
    pub(super) fn was_refused(&self, at: Location) -> bool {
        self.refused.contains(&at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &MarkEntry> {
        self.entries.values()
    }

    pub(super) fn get(&self, name: &str) -> Option<&MarkEntry> {
        let name = MarkName::new(name).ok()?;
        self.entries.get(self.by_name.get(&name)?)
    }

    pub(super) fn nearest_name(&self, name: &str) -> Option<&str> {
        nearest(name, self.entries.values().map(|entry| entry.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str, lsn: u64) -> MarkEntry {
        MarkEntry {
            name: MarkName::new(name).unwrap(),
            lsn: Lsn::new(lsn),
            time: Timestamp::default(),
            extent: Extent::default(),
            note: Box::default(),
            lost: false,
            evicted: false,
            pinned: false,
            stand_in: None,
        }
    }

    #[test]
    fn the_first_of_a_name_counts_until_it_is_dropped() {
        let mut marks = Marks::default();
        let place = |number| Location::new(1, number);
        for (number, entry) in (1..).zip([mark("a", 1), mark("b", 1), mark("a", 2)]) {
            marks.insert(place(number), entry, false, Lsn::ORIGIN);
        }
        assert_eq!(marks.get("a").map(|entry| entry.lsn.get()), Some(1));
        assert_eq!([1, 2, 3].map(|number| marks.was_refused(place(number))), [false, false, true]);
        assert_eq!(marks.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        for name in ["a", "b"] {
            marks.remove(&MarkName::new(name).unwrap());
        }
        assert_eq!((marks.get("b"), marks.at(Lsn::new(1))), (None, None));
        marks.insert(place(4), mark("a", 2), false, Lsn::ORIGIN);
        assert_eq!(marks.get("a").map(|entry| entry.lsn.get()), Some(2));
    }

    #[test]
    fn what_is_set_or_dropped_is_counted_also_when_all_is_read_anew() {
        let mut marks = Marks::default();
        let mut counts = vec![marks.changes()];
        let set = |marks: &mut Marks, number: u32, name| {
            marks.insert(Location::new(1, number), mark(name, number.into()), false, Lsn::ORIGIN);
        };
        let steps: [&dyn Fn(&mut Marks); 5] = [
            &|marks| set(marks, 1, "a"),
            &|marks| marks.remove(&MarkName::new("a").unwrap()),
            &|marks| set(marks, 2, "b"),
            &|marks| marks.read_anew(),
            &|marks| set(marks, 2, "b"),
        ];
        for step in steps {
            step(&mut marks);
            counts.push(marks.changes());
        }
        assert_eq!(counts, [0, 1, 2, 3, 4, 5]);
        set(&mut marks, 3, "b");
        marks.remove(&MarkName::new("c").unwrap());
        assert_eq!(marks.changes(), 5, "a name that was taken, and one that nobody had");
    }

    #[test]
    fn a_copy_gives_way_to_a_mark_that_was_set_since() {
        let mut marks = Marks::default();
        let place = |number| Location::new(1, number);
        marks.insert(place(1), mark("a", 1), true, Lsn::ORIGIN);
        marks.insert(place(2), mark("a", 1), true, Lsn::ORIGIN);
        marks.insert(place(3), mark("a", 7), false, Lsn::ORIGIN);
        marks.insert(place(4), mark("a", 1), true, Lsn::ORIGIN);
        assert_eq!(marks.get("a").map(|entry| entry.lsn.get()), Some(7));
        assert_eq!([1, 2, 3, 4].map(|number| marks.was_refused(place(number))), [false, true, false, true]);
    }

    #[test]
    fn a_mark_that_was_rewound_to_outlives_its_moment() {
        let mut marks = Marks::default();
        let first = Lsn::new(10);
        marks.insert(Location::new(1, 1), mark("a", 3), false, Lsn::ORIGIN);
        marks.insert(Location::new(1, 2), mark("b", 4), false, Lsn::ORIGIN);
        marks.rewound(Lsn::new(3), Lsn::new(8), Lsn::ORIGIN);
        marks.rewound(Lsn::new(8), Lsn::new(12), Lsn::ORIGIN);
        marks.evict_below(first);
        let evicted = |marks: &Marks, name| marks.get(name).map(|mark| mark.evicted);
        assert_eq!((evicted(&marks, "a"), evicted(&marks, "b")), (Some(false), Some(true)));
        assert_eq!(marks.reached_by(Lsn::new(3), first), Some(Lsn::new(12)));
        assert_eq!(marks.reached_by(Lsn::new(4), first), None);
        assert_eq!(marks.reached_by(Lsn::new(12), first), None, "no mark's own moment");
        // Of another mark of that name.
        marks.moved(&MarkName::new("b").unwrap(), Lsn::new(5), Lsn::new(15), first);
        assert_eq!(evicted(&marks, "b"), Some(true));
        marks.moved(&MarkName::new("b").unwrap(), Lsn::new(4), Lsn::new(15), first);
        assert_eq!(evicted(&marks, "b"), Some(false));
        marks.evict_below(Lsn::new(13));
        assert_eq!((evicted(&marks, "a"), evicted(&marks, "b")), (Some(true), Some(false)));
        marks.lose_all();
        marks.rewound(Lsn::new(4), Lsn::new(20), first);
        assert_eq!(marks.reached_by(Lsn::new(4), first), None);
    }

    #[test]
    fn marks_are_listed_as_they_were_set_also_those_carried_forward() {
        let listed = |read: &[(&str, u64, u64)], copied: &[&str]| {
            let mut marks = Marks::default();
            for (number, (name, lsn, time)) in (0..).zip(read) {
                let entry = MarkEntry { time: Timestamp::new(*time), ..mark(name, *lsn) };
                marks.insert(Location::new(1, number), entry, copied.contains(name), Lsn::ORIGIN);
            }
            marks.iter().map(|entry| entry.name.as_str().to_owned()).collect::<Vec<_>>()
        };
        let [a, z, b, c, d] = [("a", 4, 10), ("z", 4, 11), ("b", 4, 12), ("c", 6, 13), ("d", 6, 14)];
        let all = ["a", "z", "b", "c", "d"];
        assert_eq!(listed(&[a, z, b, c, d], &[]), all);
        // By whom the originals of the first ones are not found.
        assert_eq!(listed(&[c, d, a, z, b], &["a", "z", "b"]), all);
        assert_eq!(listed(&[c, d, z, b, a], &["a", "z", "b"]), all);
    }

    #[test]
    fn lost_marks_stay_listed() {
        let mut marks = Marks::default();
        marks.insert(Location::new(1, 1), mark("a", 1), false, Lsn::ORIGIN);
        marks.lose_all();
        assert!(marks.get("a").is_some_and(|entry| entry.lost));
        assert_eq!(marks.at(Lsn::new(1)), None);
    }
}
