use std::ops::RangeInclusive;

use super::{EraLog, RewindEntry, Timeline};
use crate::format::Engine;
use crate::types::Lsn;

/// A moment, and the era it is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) era: usize,
    pub(super) lsn: Lsn,
}

/// A stretch of a path within one era, without a rewind in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub(super) era: usize,
    /// The oldest LSN that belongs to it.
    pub(super) from: Lsn,
    /// The newest LSN that belongs to it; below `from` when the path only passes through a rewind.
    pub(super) upto: Lsn,
    /// The path comes from beyond the era's last moment: what was in flight then belongs to it too.
    pub(super) open: bool,
    /// Where the path goes on.
    pub(super) next: Option<Exit>,
}

impl Stretch {
    /// Whether the LSN is one of the stretch.
    pub(super) fn contains(&self, lsn: Lsn) -> bool {
        self.from <= lsn && lsn <= self.upto
    }

    /// The LSNs of the stretch above one of it.
    pub(super) fn above(mut self, lsn: Lsn) -> Self {
        self.from = after(lsn);
        self
    }

    pub(super) fn lsns(&self) -> RangeInclusive<Lsn> {
        self.from..=self.upto
    }
}

/// How a path leaves a stretch at its lower end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exit {
    /// Through a rewind, to its target.
    Rewind(Place),
    /// Through the beginning of the era, to the end of the one before.
    Beginning(Place),
}

impl Exit {
    pub(super) fn place(self) -> Place {
        match self {
            Self::Rewind(place) | Self::Beginning(place) => place,
        }
    }
}

/// The LSN after a known one. Records with the last LSN of all are refused, so it exists.
pub(super) fn after(lsn: Lsn) -> Lsn {
    lsn.next().unwrap_or(lsn)
}

/// The stretches of the past of one moment, newest first.
pub(super) struct Path<'a> {
    timeline: &'a Timeline,
    next: Option<Stretch>,
}

impl Iterator for Path<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        let this = self.next.take()?;
        self.next =
            this.next.map(|exit| self.timeline.stretch(exit.place(), matches!(exit, Exit::Beginning(_))));
        Some(this)
    }
}

impl Timeline {
    pub(super) fn era_log(&self, era: usize) -> Option<&EraLog> {
        self.eras.get(era)
    }

    /// The era an LSN is in, and the newest moment in it at or below the LSN.
    pub(super) fn place(&self, lsn: Lsn) -> Option<Place> {
        let era = self.eras.partition_point(|log| log.era.first <= lsn).checked_sub(1)?;
        Some(Place { era, lsn: self.eras.get(era)?.floor(lsn).lsn })
    }

    /// The newest rewind of an era at or below an LSN.
    pub(super) fn rewind_within(&self, era: usize, lsn: Lsn) -> Option<&RewindEntry> {
        let past = self.rewinds.partition_point(|rewind| rewind.lsn <= lsn);
        let rewind = self.rewinds.get(past.checked_sub(1)?)?;
        (rewind.lsn > self.eras.get(era)?.era.first).then_some(rewind)
    }

    /// The newest stretch of the path of a moment.
    fn stretch(&self, Place { era, lsn }: Place, open: bool) -> Stretch {
        let first = self.eras.get(era).map_or(lsn, |log| log.era.first);
        let (from, next) = match self.rewind_within(era, lsn) {
            Some(rewind) => (after(rewind.lsn), self.place(rewind.target).map(Exit::Rewind)),
            None => (after(first), self.end_before(era).map(Exit::Beginning)),
        };
        Stretch { era, from, upto: lsn, open, next }
    }

    /// The last moment before an era.
    fn end_before(&self, era: usize) -> Option<Place> {
        let era = era.checked_sub(1)?;
        Some(Place { era, lsn: self.eras.get(era)?.last().lsn })
    }

    /// The past of a moment. With `open`, of the present, whose last moment it is.
    pub(super) fn path(&self, from: Place, open: bool) -> Path<'_> {
        Path { timeline: self, next: Some(self.stretch(from, open)) }
    }

    /// Follows rewinds, and the seamless beginnings of eras, to the moment that made the state.
    ///
    /// Two LSNs with equal answers have equal states. An LSN above [`Timeline::last`] is a moment not
    /// recorded yet and stands for itself, as does one before all that can be reached.
    #[must_use]
    pub fn canonical(&self, lsn: Lsn) -> Lsn {
        if lsn > self.last() {
            return lsn;
        }
        let Some(mut place) = self.place(lsn) else { return lsn };
        loop {
            let next = match self.rewind_within(place.era, place.lsn) {
                Some(rewind) if rewind.lsn == place.lsn => self.place(rewind.target),
                Some(_) => None,
                None => match self.era_log(place.era).filter(|log| log.era.first == place.lsn) {
                    Some(log) => return log.root,
                    None => None,
                },
            };
            match next {
                Some(next) => place = next,
                None => return place.lsn,
            }
        }
    }

    /// Finds out anew which moment made the state that each era from this one on began with: when one before it has ended otherwise, or is
    /// gone. A loop back to one mark goes from era to era to it, and a rewind asks several times.
    pub(super) fn learn_roots(&mut self, from: usize) {
        for era in from..self.eras.len() {
            let before = self.end_before(era).map(|place| self.canonical(place.lsn));
            if let Some(log) = self.eras.get_mut(era) {
                log.root = before.unwrap_or(log.era.first);
            }
        }
    }

    /// As [`learn_roots`](Self::learn_roots), if a moment was added before the present era.
    pub(super) fn learn_roots_behind(&mut self, lsn: Lsn) {
        let behind = self.eras.partition_point(|log| log.era.first <= lsn);
        if behind < self.eras.len() {
            self.learn_roots(behind);
        }
    }

    /// Where the pasts of two moments part: the newest moment on both, followed to the one that made
    /// its state.
    #[must_use]
    pub fn parting(&self, a: Lsn, b: Lsn) -> Lsn {
        match (self.place(a), self.place(b)) {
            (Some(a), Some(b)) => self.canonical(self.fork(a, b)),
            _ => a.min(b),
        }
    }

    /// The LSNs of the commits that lie between two moments: on the way from where their pasts part up to the later one, newest first.
    /// What was rewound on that way is left out, and so are the rewinds. Both moments are [known](Self::knows).
    #[must_use]
    pub fn way(&self, since: Lsn, now: Lsn) -> Vec<RangeInclusive<Lsn>> {
        let (Some(since), Some(now)) = (self.place(since), self.place(now)) else { return Vec::new() };
        let fork = self.fork(now, since);
        self.side(now, false, fork).map(|stretch| stretch.lsns()).filter(|lsns| !lsns.is_empty()).collect()
    }

    /// The newest LSN on both paths. Costs O(stretches on the two sides).
    pub(super) fn fork(&self, a: Place, b: Place) -> Lsn {
        let (mut path_a, mut path_b) = (self.path(a, false), self.path(b, false));
        let (mut at_a, mut at_b) = (path_a.next(), path_b.next());
        while let (Some(in_a), Some(in_b)) = (at_a, at_b) {
            let newest = in_a.upto.min(in_b.upto);
            if in_a.contains(newest) && in_b.contains(newest) {
                return newest;
            }
            // Paths only go down: the stretch that ends higher has nothing in common with the rest of
            // the other path. An empty one is passed over in the same way.
            if in_a.from > in_a.upto || (in_a.from > in_b.upto && in_b.from <= in_b.upto) {
                at_a = path_a.next();
            } else {
                at_b = path_b.next();
            }
        }
        self.eras.first().map_or(Lsn::ORIGIN, |log| log.era.first)
    }

    /// The stretches of a path above an LSN on it.
    pub(super) fn side(&self, from: Place, open: bool, fork: Lsn) -> impl Iterator<Item = Stretch> {
        let mut done = false;
        self.path(from, open).map_while(move |stretch| {
            if done {
                return None;
            }
            done = stretch.contains(fork);
            Some(if done { stretch.above(fork) } else { stretch })
        })
    }

    /// The LSNs of a stretch whose images belong to it.
    pub(super) fn images_of(&self, stretch: &Stretch) -> RangeInclusive<Lsn> {
        let before = |log: &EraLog| log.era.engine == Engine::Rollback;
        if stretch.open && self.era_log(stretch.era).is_some_and(before) {
            return stretch.from..=Lsn::new(u64::MAX);
        }
        stretch.lsns()
    }
}
