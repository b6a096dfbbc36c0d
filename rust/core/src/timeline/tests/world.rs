//! A database that keeps full copies of every moment, and records itself as the two engines do.

mod checks;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::format::{CommitBody, DropBody, Engine, EraBody, Head, KEPT, Kind, MarkBody, RewindBody};
use crate::timeline::Timeline;
use crate::types::{Extent, Key, Location, Lsn, MarkName, ObjectId, Timestamp};

/// Of so many offsets each is a segment, where segments matter.
const SEGMENT: u32 = 8 * 7;

/// The content of keys 1, 2, ...; 0 is zeros.
pub(super) type State = Vec<u32>;

/// A moment in the tree of states. A rewind or a seamless era is another name for an older moment.
#[derive(Clone, Debug)]
struct Node {
    state: State,
    /// The moment whose state this one's is.
    alias: Option<u64>,
    parent: Option<u64>,
    /// Keys that may differ from the parent.
    touched: BTreeSet<u64>,
}

pub(super) struct World {
    pub(super) timeline: Timeline,
    images: HashMap<Location, u32>,
    /// All records.
    pub(super) log: Vec<(Head, Location, Vec<u8>)>,
    /// Records that may come a second time.
    repeatable: Vec<(Head, Vec<u8>, u32)>,
    next_record: u32,
    next_content: u32,
    nodes: BTreeMap<u64, Node>,
    pub(super) engine: Engine,
    first: u64,
    pub(super) last: u64,
    highest: u64,
    /// The state as a connection sees it.
    pub(super) state: State,
    /// The database file; behind `state` in an era of after-images.
    pub(super) file: State,
    /// Images are captured for moments from this one on.
    threshold: u64,
    marks: BTreeMap<String, u64>,
    /// Names that are taken, by lost marks too.
    taken: BTreeSet<String>,
    /// Reachable in eras of before-images.
    kept: BTreeSet<u64>,
    /// Captured by transactions that were rolled back.
    noise: BTreeSet<u64>,
    /// There are images of a transaction that has not committed.
    ahead: bool,
    /// Each commit with before-images is kept.
    pub(super) keep_commits: bool,
    /// What the clock shows.
    pub(super) clock: u64,
    /// When each LSN in use became the newest moment, as the log says.
    times: BTreeMap<u64, u64>,
}

impl World {
    pub(super) fn new(engine: Engine, state: State) -> Self {
        let mut world = Self {
            timeline: Timeline::new(ObjectId::new(1)),
            images: HashMap::new(),
            log: Vec::new(),
            repeatable: Vec::new(),
            next_record: 0,
            next_content: 1000,
            nodes: BTreeMap::new(),
            engine,
            first: 0,
            last: 0,
            highest: 0,
            file: state.clone(),
            state,
            threshold: 0,
            marks: BTreeMap::new(),
            taken: BTreeSet::new(),
            kept: BTreeSet::new(),
            noise: BTreeSet::new(),
            ahead: false,
            keep_commits: false,
            clock: 50,
            times: BTreeMap::new(),
        };
        world.begin_era(engine, true);
        world
    }

    pub(super) fn content(&mut self) -> u32 {
        self.next_content += 1;
        self.next_content
    }

    fn feed(&mut self, head: Head, body: &[u8], content: u32) {
        self.next_record += 8;
        let at = Location::new(1 + self.next_record / SEGMENT, self.next_record);
        self.images.insert(at, content);
        self.log.push((head, at, body.to_vec()));
        self.highest = self.highest.max(head.lsn.get());
        self.timeline.feed(head, at, body).unwrap();
    }

    fn record(&mut self, kind: Kind, key: u64, lsn: u64, body: &[u8], content: u32) {
        let (key, lsn) = (Key::new(key), Lsn::new(lsn));
        let kept = kind == Kind::Commit && self.engine == Engine::Rollback && self.keep_commits;
        let flags = if kept { KEPT } else { 0 };
        let head = Head { kind, flags, object: ObjectId::new(1), key, lsn };
        if matches!(kind, Kind::After | Kind::Cut | Kind::Commit | Kind::Rewind) {
            self.repeatable.push((head, body.to_vec(), content));
        }
        self.feed(head, body, content);
    }

    /// A slow writer appends a record that is in the log already.
    pub(super) fn repeat(&mut self, pick: usize) {
        if let Some((head, body, content)) = self.repeatable.iter().rev().nth(pick % 32).cloned() {
            self.feed(head, &body, content);
        }
    }

    /// The time of a new moment, as the store gives it. The first that a moment gets counts.
    fn next_time(&mut self, lsn: u64) -> Timestamp {
        let newest = self.times.values().max().copied().unwrap_or_default();
        let time = self.clock.max(newest + 1);
        self.times.entry(lsn).or_insert(time);
        Timestamp::new(time)
    }

    /// The moment that a time means.
    pub(super) fn at_time(&self, time: u64) -> Option<u64> {
        let first = *self.nodes.keys().next().unwrap();
        let then = self.nodes.keys().rev().find(|lsn| self.times[lsn] <= time).copied()?;
        if then == self.last {
            return Some(then);
        }
        self.reachable().range(first..=then).next_back().copied()
    }

    fn extent(&self) -> Extent {
        Extent::new(self.state.len() as u64)
    }

    // ---- eras

    /// Begins an era. The caller has brought the file up to date.
    pub(super) fn begin_era(&mut self, engine: Engine, broken: bool) {
        assert_eq!(self.file, self.state);
        let first = self.highest + 1;
        let body = EraBody { time: self.next_time(first), extent: self.extent(), broken };
        self.record(Kind::Era, engine.key().get(), first, &body.encode(), 0);
        let alias = (!broken).then_some(self.last);
        if broken {
            self.nodes.clear();
            self.marks.clear();
            self.kept.clear();
            self.repeatable.clear();
        }
        self.nodes
            .insert(first, Node { state: self.state.clone(), alias, parent: None, touched: BTreeSet::new() });
        if !broken {
            // The end of the era before is the beginning of this one.
            self.kept.insert(self.last);
        }
        (self.engine, self.first, self.last, self.threshold) = (engine, first, first, first);
        self.ahead = false;
        self.kept.insert(first);
    }

    // ---- after-images

    /// After-images of a transaction that comes to nothing.
    pub(super) fn written_ahead(&mut self, writes: &[(u64, u32)]) {
        self.void();
        for (lsn, &(key, content)) in (self.last + 1..).zip(writes) {
            let (key, lsn) = (Key::new(key), Lsn::new(lsn));
            let head = Head { kind: Kind::After, flags: 0, object: ObjectId::new(1), key, lsn };
            self.feed(head, &[], content);
        }
        assert_eq!(self.timeline.ahead().is_some(), !writes.is_empty());
        self.ahead = !writes.is_empty();
    }

    fn void(&mut self) {
        if std::mem::take(&mut self.ahead) {
            self.record(Kind::Void, 0, self.last, &[], 0);
        }
        assert_eq!(self.timeline.ahead(), None);
    }

    /// Commits with after-images. `halfway` is called when all images are there and the commit is not.
    pub(super) fn commit_after(
        &mut self,
        writes: &[(u64, u32)],
        extent: u64,
        mark_first: Option<&str>,
        mut halfway: impl FnMut(&Self),
    ) {
        self.void();
        let mut lsn = self.last + 1;
        let mut next = self.state.clone();
        let mut touched = BTreeSet::new();
        let old = next.len() as u64;
        next.resize(old.max(extent).max(20) as usize, 0);
        let commit_lsn = lsn + writes.len().saturating_sub(1) as u64;
        for &(key, content) in writes {
            next[key as usize - 1] = content;
            touched.insert(key);
        }
        next.truncate(extent as usize);
        touched.extend(old.min(extent) + 1..=old.max(extent));
        // What was grown over without being written reads as zeros.
        for key in old + 1..=extent {
            if !writes.iter().any(|write| write.0 == key) {
                next[key as usize - 1] = 0;
            }
        }
        let body = CommitBody { time: self.next_time(commit_lsn), extent: Extent::new(extent) };
        if let Some(name) = mark_first {
            let mark = MarkBody {
                time: body.time,
                extent: body.extent,
                name: MarkName::new(name).unwrap(),
                note: &[],
            };
            self.record(Kind::Mark, 0, commit_lsn, &mark.encode(), 0);
            self.take_name(name, commit_lsn);
        }
        for &(key, content) in writes {
            self.record(Kind::After, key, lsn, &[], content);
            lsn += 1;
        }
        if extent < old || writes.iter().any(|write| write.0 > extent) {
            self.record(Kind::Cut, extent + 1, commit_lsn, &[], 0);
        }
        halfway(self);
        self.record(Kind::Commit, 0, commit_lsn, &body.encode(), 0);
        self.state = next;
        self.moment(commit_lsn, touched);
    }

    fn moment(&mut self, lsn: u64, touched: BTreeSet<u64>) {
        let node = Node { state: self.state.clone(), alias: None, parent: Some(self.last), touched };
        self.nodes.insert(lsn, node);
        self.last = lsn;
    }

    /// Writes some of the newest contents into the file, saving what the file had.
    pub(super) fn checkpoint(&mut self, mut which: impl FnMut(u64) -> bool, truncate: bool) {
        for key in 1..=self.state.len().max(self.file.len()) as u64 {
            let at = key as usize - 1;
            let cut = key > self.state.len() as u64;
            if if cut { !truncate } else { !which(key) || self.file.get(at) == self.state.get(at) } {
                continue;
            }
            if !self.timeline.in_store(Key::new(key)) {
                let old = self.file.get(at).copied().unwrap();
                self.record(Kind::Base, key, self.first, &[], old);
            }
            if !cut {
                self.file.resize(self.file.len().max(at + 1), 0);
                self.file[at] = self.state[at];
            }
        }
        if truncate {
            self.file.truncate(self.state.len());
        }
    }

    pub(super) fn checkpoint_all(&mut self) {
        if self.engine == Engine::Wal {
            self.checkpoint(|_| true, true);
            self.file.resize(self.state.len(), 0);
        }
    }

    // ---- before-images

    fn capture(&mut self, key: u64, lsn: u64, always: bool) {
        let Some(&content) = self.file.get(key as usize - 1) else { return };
        if always || !self.timeline.captured_since(Key::new(key), Lsn::new(self.threshold)) {
            self.record(Kind::Before, key, lsn, &[], content);
        }
    }

    /// Runs a transaction with before-images. `halfway` is called when the file is written and the commit
    /// is not recorded.
    pub(super) fn transaction_before(
        &mut self,
        writes: &[(u64, u32)],
        extent: u64,
        commit: bool,
        mut halfway: impl FnMut(&Self),
    ) {
        let (old, lsn) = (self.file.clone(), self.last + 1);
        let mut touched = BTreeSet::new();
        for &(key, content) in writes.iter().filter(|write| write.0 <= extent) {
            self.capture(key, lsn, false);
            self.file.resize(self.file.len().max(key as usize), 0);
            self.file[key as usize - 1] = content;
            touched.insert(key);
        }
        for key in extent + 1..=self.file.len() as u64 {
            self.capture(key, lsn, false);
        }
        let (before, after) = (old.len() as u64, extent);
        touched.extend(before.min(after) + 1..=before.max(after));
        self.file.resize(extent as usize, 0);
        let noise = self.noise.clone();
        self.noise.extend(&touched);
        halfway(self);
        if !commit {
            self.file = old;
            return;
        }
        let body = CommitBody { time: self.next_time(lsn), extent: Extent::new(extent) };
        self.record(Kind::Commit, 0, lsn, &body.encode(), 0);
        self.noise = noise;
        self.state.clone_from(&self.file);
        self.moment(lsn, touched);
        if self.keep_commits {
            self.kept.insert(lsn);
            self.threshold = lsn;
        }
    }

    // ---- both

    pub(super) fn mark(&mut self, name: &str) {
        let body = MarkBody {
            time: Timestamp::new(self.clock.max(self.times[&self.last])),
            extent: self.extent(),
            name: MarkName::new(name).unwrap(),
            note: b"note",
        };
        self.record(Kind::Mark, 0, self.last, &body.encode(), 0);
        self.take_name(name, self.last);
        self.threshold = self.threshold.max(self.last);
    }

    fn take_name(&mut self, name: &str, lsn: u64) {
        if self.taken.insert(name.to_owned()) {
            self.marks.insert(name.to_owned(), lsn);
        }
    }

    pub(super) fn drop_mark(&mut self, name: &str) {
        let body = DropBody { time: Timestamp::new(1), name: MarkName::new(name).unwrap() };
        self.record(Kind::Drop, 0, self.last, &body.encode(), 0);
        self.marks.remove(name);
        self.taken.remove(name);
    }

    /// Rewinds. In an era of after-images the differing keys are appended if `append`; then a tail may see
    /// the commit before the rewind is recorded.
    pub(super) fn rewind(&mut self, target: u64, append: bool, tailed: bool) {
        let plan = self.timeline.plan(Lsn::new(self.last), Lsn::new(target)).unwrap();
        let to = self.nodes[&target].state.clone();
        let mut lsn = self.last + 1;
        if self.engine == Engine::Rollback {
            for (key, _) in &plan.items {
                self.capture(key.get(), lsn, true);
            }
            for key in to.len() + 1..=self.file.len() {
                self.capture(key as u64, lsn, true);
            }
            self.file = self.applied(&plan, &self.file);
            assert_eq!(self.file, to);
        } else if append {
            self.void();
            for (key, _) in &plan.items {
                self.record(Kind::After, key.get(), lsn, &[], to[key.get() as usize - 1]);
                lsn += 1;
            }
            lsn = lsn.saturating_sub(1).max(self.last + 1);
            if tailed {
                let time = self.next_time(lsn);
                let body = CommitBody { time, extent: Extent::new(to.len() as u64) };
                self.record(Kind::Commit, 0, lsn, &body.encode(), 0);
            }
        }
        let body = RewindBody {
            time: self.next_time(lsn),
            extent: Extent::new(to.len() as u64),
            from: Lsn::new(self.last),
            note: &[],
        };
        self.record(Kind::Rewind, target, lsn, &body.encode(), 0);
        self.ahead = false;
        self.state = to;
        self.kept.extend([self.last, lsn]);
        self.moment(lsn, BTreeSet::new());
        let node = self.nodes.get_mut(&lsn).unwrap();
        (node.parent, node.alias) = (None, Some(target));
        self.threshold = lsn;
    }
}
