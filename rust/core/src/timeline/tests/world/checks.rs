//! What the model knows of its moments, and the timeline held against it.

use std::collections::{BTreeMap, BTreeSet};

use super::{State, World};
use crate::format::Engine;
use crate::timeline::{Plan, Source};
use crate::types::{Extent, Lsn, Timestamp};

impl World {
    /// Every moment that can be rewound to.
    pub(in crate::timeline::tests) fn reachable(&self) -> BTreeSet<u64> {
        let marked: BTreeSet<u64> = self.marks.values().copied().collect();
        let in_wal = |lsn: &u64| self.eras().range(..=lsn).next_back().unwrap().1.engine == Engine::Wal;
        self.nodes
            .keys()
            .copied()
            .filter(|lsn| in_wal(lsn) || marked.contains(lsn) || self.kept.contains(lsn))
            .collect()
    }

    fn eras(&self) -> BTreeMap<u64, crate::timeline::Era> {
        self.timeline.eras.iter().map(|log| (log.era.first.get(), log.era)).collect()
    }

    fn resolve(&self, mut lsn: u64) -> u64 {
        while let Some(alias) = self.nodes[&lsn].alias {
            lsn = alias;
        }
        lsn
    }

    fn ancestry(&self, lsn: u64) -> Vec<u64> {
        let mut line = vec![self.resolve(lsn)];
        while let Some(parent) = self.nodes[line.last().unwrap()].parent {
            line.push(self.resolve(parent));
        }
        line
    }

    /// Carries a plan out.
    pub(in crate::timeline::tests) fn applied(&self, plan: &Plan, on: &State) -> State {
        let mut state = on.clone();
        state.resize(plan.extent.get() as usize, 0);
        for &(key, source) in &plan.items {
            let at = key.get() as usize - 1;
            state[at] = match source {
                Source::Record(at) => self.images[&at],
                Source::Base => {
                    assert_eq!(self.engine, Engine::Wal);
                    self.file.get(at).copied().unwrap_or(0)
                }
                Source::Current => {
                    assert_eq!(self.engine, Engine::Rollback);
                    self.file.get(at).copied().unwrap_or(0)
                }
                Source::Zero => 0,
            };
        }
        state
    }

    /// Checks the plan from the object as it is to a moment.
    pub(in crate::timeline::tests) fn check_present(&self, target: u64) {
        let plan = self.timeline.plan(Lsn::new(self.last), Lsn::new(target)).unwrap();
        let on = if self.engine == Engine::Wal { &self.state } else { &self.file };
        assert_eq!(self.applied(&plan, on), self.nodes[&target].state, "from now to {target}: {plan:?}");
        self.check_shape(&plan, self.last, target);
    }

    /// Checks the plan between two moments.
    pub(in crate::timeline::tests) fn check_pair(&self, now: u64, target: u64) {
        let plan = self.timeline.plan(Lsn::new(now), Lsn::new(target)).unwrap();
        let (from, to) = (&self.nodes[&now].state, &self.nodes[&target].state);
        assert_eq!(&self.applied(&plan, from), to, "from {now} to {target}: {plan:?}");
        self.check_shape(&plan, now, target);
        assert_eq!(self.timeline.extent_at(Lsn::new(target)), Some(Extent::new(to.len() as u64)));
        let canonical = |lsn| self.timeline.canonical(Lsn::new(lsn)).get();
        assert_eq!(canonical(now), self.resolve(now));
    }

    /// Only keys touched on the two sides are in a plan, ascending.
    fn check_shape(&self, plan: &Plan, now: u64, target: u64) {
        let (a, b) = (self.ancestry(now), self.ancestry(target));
        let common = a.iter().find(|lsn| b.contains(lsn)).copied().unwrap();
        assert_eq!(plan.parting.get(), common, "{now} and {target} part: {a:?} {b:?}");
        assert_eq!(self.timeline.parting(Lsn::new(now), Lsn::new(target)), plan.parting);
        let sides = a.iter().chain(&b).filter(|lsn| **lsn > common);
        let mut touched: BTreeSet<u64> = sides.flat_map(|lsn| self.nodes[lsn].touched.clone()).collect();
        touched.extend(&self.noise);
        let keys: Vec<u64> = plan.items.iter().map(|item| item.0.get()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        for key in keys {
            assert!(touched.contains(&key), "key {key} was not touched between {now} and {target}");
            assert!(key <= plan.extent.get());
        }
    }

    /// Checks everything about every pair of moments that can be reached.
    pub(in crate::timeline::tests) fn check_all(&self) {
        let reachable = self.reachable();
        for lsn in 0..=self.highest + 2 {
            let answer = self.timeline.reachable(Lsn::new(lsn));
            assert_eq!(answer.is_ok(), reachable.contains(&lsn), "{lsn}: {answer:?}");
        }
        let newest = self.times.values().max().copied().unwrap_or_default();
        let begun = *self.nodes.keys().next().unwrap();
        assert_eq!(self.timeline.earliest(), Some((Lsn::new(begun), Timestamp::new(self.times[&begun]))));
        for time in (self.times[&begun].saturating_sub(2)..newest + 2).chain([u64::MAX]) {
            let found = self.timeline.at_time(Timestamp::new(time)).map(Lsn::get);
            assert_eq!(found, self.at_time(time), "at {time}: {:?}", self.times);
        }
        for lsn in self.nodes.keys() {
            assert_eq!(self.timeline.time_of(Lsn::new(*lsn)), Some(Timestamp::new(self.times[lsn])), "{lsn}");
        }
        assert_eq!(self.timeline.last().get(), self.last);
        assert_eq!(self.timeline.highest().get(), self.highest);
        let marks = self.timeline.marks().filter(|mark| !mark.lost);
        let marks: BTreeMap<String, u64> =
            marks.map(|mark| (mark.name.as_str().to_owned(), mark.lsn.get())).collect();
        assert_eq!(marks, self.marks);
        for &target in &reachable {
            self.check_present(target);
            for &now in &reachable {
                if now != self.last {
                    self.check_pair(now, target);
                }
            }
        }
    }
}
