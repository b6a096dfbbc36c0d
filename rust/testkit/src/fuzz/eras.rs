//! Sound stores of several eras in sealed segments, with marks, rewinds and a second object, and what their whole log answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use dbrewind_core::{
    Clock, CommitBody, DropBody, Engine, Extent, Head, KEPT, Key, Kind, Lsn, ManualClock, MarkBody, MarkName,
    ObjectId, PINNED, RewindBody, Store, Timeline, Timestamp,
};

use super::folder::{OPTIONS, files};

/// The clock when the first record was written, in nanoseconds.
pub(super) const NOW: u64 = 1 << 60;
/// The same when a store is opened.
pub(super) const LATER: u64 = NOW + (1 << 40);
/// Objects in each.
pub(super) const OBJECTS: u32 = 2;
const LENGTH: u64 = 9;

/// A store's files, and what is answered about each object.
pub(super) struct Eras {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) answers: Vec<String>,
}

/// Eras of after-images, of before-images, of both in turn; and one whose beginning was evicted.
pub(super) fn sound_eras() -> &'static [Eras; 4] {
    static SOUND: OnceLock<[Eras; 4]> = OnceLock::new();
    SOUND.get_or_init(|| {
        let (wal, rollback) = (Engine::Wal, Engine::Rollback);
        [
            ([wal; 3], false),
            ([rollback; 3], false),
            ([wal, rollback, wal], false),
            ([rollback, wal, wal], true),
        ]
        .map(|(engines, cut)| written(engines, cut))
    })
}

fn written(engines: [Engine; 3], cut: bool) -> Eras {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::new(Timestamp::new(NOW));
    let store = Store::open_by(folder.path(), &OPTIONS, Clock::Manual(clock.clone())).expect("a new store");
    let object = store.object(".", 300).expect("an object");
    let other = store.object("/b.db", 300).expect("an object");
    let mut histories = [
        Writer { store: &store, object, lsn: 0, engine: rest() },
        Writer { store: &store, object: other, lsn: 0, engine: rest() },
    ];
    for (era, engine) in engines.into_iter().enumerate() {
        for history in &mut histories {
            history.era(engine, era, !cut);
        }
    }
    for n in 0..20_u64 {
        histories[0].note(&[n as u8; 300]);
    }
    while store.seal_some().expect("sealed").is_some() {}
    if cut {
        clock.advance(Duration::from_secs(100 * 3600));
        let evicted = store.evict_some(&|_| true).expect("evicted");
        assert!(evicted, "nothing was evicted");
    }
    let told = |object| {
        let mut timeline = Timeline::new(ObjectId::new(object));
        timeline.catch_up(&store).expect("sound");
        answers(&timeline)
    };
    let answers = (0..OBJECTS).map(told).collect();
    drop(store);
    Eras { files: files(folder.path()), answers }
}

/// Before the first era.
fn rest() -> Engine {
    Engine::Wal
}

struct Writer<'a> {
    store: &'a Store,
    object: ObjectId,
    lsn: u64,
    engine: Engine,
}

impl Writer<'_> {
    fn append(&self, kind: Kind, flags: u8, key: u64, body: &[u8]) {
        let head = Head { kind, flags, object: self.object, key: Key::new(key), lsn: Lsn::new(self.lsn) };
        self.store.append(head, &[body]).expect("room");
    }

    fn note(&self, body: &[u8]) {
        self.append(Kind::Note, 0, 5, body);
    }

    /// `tied`: earlier ones are needed for it.
    fn era(&mut self, engine: Engine, number: usize, tied: bool) {
        (self.lsn, self.engine) = (self.lsn + 1, engine);
        let extent = Extent::new(LENGTH);
        let era = (engine, Lsn::new(self.lsn));
        self.store.append_era(self.object, era, (extent, number == 0), &[(1, vec![7; 32])]).expect("room");
        let first = self.lsn;
        let names = [["first", "first again"], ["second", "second again"], ["third", "third again"]][number];
        self.mark(names[0], 0);
        for _ in 0..4 {
            self.commit();
        }
        self.mark(names[1], if number == 1 && tied { PINNED } else { 0 });
        self.mark("gone", 0);
        let name = MarkName::new("gone").expect("a name");
        let time = self.store.next_time(self.object);
        self.append(Kind::Drop, 0, 0, &DropBody { time, name }.encode());
        self.commit();
        self.rewind(first);
        self.commit();
        if engine == Engine::Wal {
            // Of a transaction that came to nothing.
            self.image(7, self.lsn + 1);
            self.append(Kind::Void, 0, 0, &[]);
        }
        if number > 0 && tied {
            self.rewind(first - 2);
        }
        self.commit();
    }

    fn image(&self, key: u64, lsn: u64) {
        let kind = if self.engine == Engine::Wal { Kind::After } else { Kind::Before };
        let head = Head::new(kind, self.object, Key::new(key), Lsn::new(lsn));
        self.store.append(head, &[&[lsn as u8; 300]]).expect("room");
    }

    fn commit(&mut self) {
        self.lsn += 1;
        for n in 0..3 {
            self.image(1 + (self.lsn + n) % LENGTH, self.lsn);
        }
        let body = CommitBody { time: self.store.next_time(self.object), extent: Extent::new(LENGTH) };
        let kept = self.engine == Engine::Rollback && self.lsn.is_multiple_of(3);
        self.append(Kind::Commit, if kept { KEPT } else { 0 }, 0, &body.encode());
        self.store.raise_last_lsn(self.object, Lsn::new(self.lsn));
    }

    fn mark(&self, name: &str, flags: u8) {
        let (time, extent) = (self.store.next_time(self.object), Extent::new(LENGTH));
        let name = MarkName::new(name).expect("a name");
        self.append(Kind::Mark, flags, 0, &MarkBody { time, extent, name, note: &[1, 2, 3] }.encode());
    }

    fn rewind(&mut self, target: u64) {
        let from = Lsn::new(self.lsn);
        self.lsn += 1;
        if self.engine == Engine::Rollback {
            self.image(1 + self.lsn % LENGTH, self.lsn);
        }
        let (time, extent) = (self.store.next_time(self.object), Extent::new(LENGTH));
        self.append(Kind::Rewind, 0, target, &RewindBody { time, extent, from, note: &[] }.encode());
        self.store.raise_last_lsn(self.object, Lsn::new(self.lsn));
    }
}

/// Everything that is asked of a timeline.
pub(super) fn answers(timeline: &Timeline) -> String {
    let mut out = format!(
        "{:?} {} {} {} {:?} {:?} {:?} {:?}\n",
        timeline.era(),
        timeline.last(),
        timeline.highest(),
        timeline.highest_said(),
        timeline.earliest(),
        timeline.newest_kept(),
        timeline.ahead(),
        timeline.era_at(),
    );
    let mut line = |text: String| {
        let _infallible = writeln!(out, "{text}");
    };
    timeline.marks().for_each(|mark| line(format!("{mark:?} {}", timeline.reached_by(mark.lsn))));
    timeline.rewinds().iter().for_each(|rewind| line(format!("{rewind:?}")));
    line(format!("{:?} {:?}", timeline.notes(1), timeline.notes(5)));
    for lsn in (0..=timeline.highest().get().min(200) + 1).map(Lsn::new) {
        line(format!(
            "{lsn} is {} {:?} {:?} {:?} {:?} {:?}",
            timeline.canonical(lsn),
            timeline.extent_at(lsn),
            timeline.time_of(lsn),
            timeline.reachable(lsn),
            timeline.time_of(lsn).and_then(|time| timeline.at_time(time)),
            timeline.plan(timeline.last(), lsn),
        ));
    }
    out
}
