//! Rewinds to times: which moment is meant, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::time::Duration;

use dbrewind_core::{ObjectId, Store, StoreOptions, Timeline};
use dbrewind_sqlite::{
    Clock, Code, Database, Error, ManualClock, Method, Moments, OpenOptions, RewindOptions, SqliteApi,
    Synchronous, Target, Timestamp,
};
use rusqlite::Connection;
use support::World;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_795_333_680 * SECOND;

/// A recorded database whose clock the test moves.
struct Scene {
    db: Database,
    app: Connection,
    clock: ManualClock,
    world: World,
}

impl Scene {
    fn new(mode: &str) -> Self {
        Self::keeping(mode, Moments::Marks)
    }

    fn keeping(mode: &str, moments: Moments) -> Self {
        let world = World::new(mode, 4096);
        let clock = ManualClock::new(Timestamp::new(START));
        let db = record_keeping(&world, &clock, Some(moments));
        let app = connect(&world);
        Self { db, app, clock, world }
    }

    /// Commits, and sees to it that the commit is recorded.
    fn insert(&self, text: &str) {
        self.app.execute("insert into t(v) values (?1)", [text]).unwrap();
        self.db.drain().unwrap();
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn rows(&self) -> Vec<String> {
        let mut select = self.app.prepare("select v from t order by id").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn at(&self, seconds: u64) -> Target {
        Target::Time(Timestamp::new(START + seconds * SECOND))
    }

    /// The newest moment's time, as the log has it.
    fn newest_time(&self) -> Timestamp {
        let store = Store::open(&self.world.store(), &StoreOptions::default()).unwrap();
        let mut timeline = Timeline::new(ObjectId::new(0));
        timeline.catch_up(&store).unwrap();
        timeline.time_of(timeline.last()).unwrap()
    }
}

fn record(world: &World, clock: &ManualClock) -> Database {
    record_keeping(world, clock, None)
}

fn record_keeping(world: &World, clock: &ManualClock, moments: Option<Moments>) -> Database {
    let options = OpenOptions {
        synchronous: Synchronous::Off,
        timeout: Duration::from_secs(10),
        clock: Clock::Manual(clock.clone()),
        moments,
        ..OpenOptions::default()
    };
    Database::open(SqliteApi::bundled(), &world.path(), &options).unwrap()
}

fn connect(world: &World) -> Connection {
    match world.mode.as_str() {
        "wal" => {
            let app =
                Connection::open_with_flags_and_vfs(world.path(), rusqlite::OpenFlags::default(), "unix")
                    .unwrap();
            app.busy_timeout(Duration::from_secs(10)).unwrap();
            app.execute_batch("pragma synchronous = off").unwrap();
            app
        }
        _ => world.connect(),
    }
}

/// In WAL mode from the beginning.
fn wal() -> Scene {
    let world = World::with("wal", "pragma journal_mode = wal");
    let clock = ManualClock::new(Timestamp::new(START));
    let app = connect(&world);
    let db = record(&world, &clock);
    Scene { db, app, clock, world }
}

#[test]
fn the_state_at_a_time_is_that_of_the_newest_commit_before() {
    let scene = wal();
    for text in ["one", "two", "three"] {
        scene.pass(10);
        scene.insert(text);
    }
    for (seconds, rows, at) in [(29, 2, 20), (20, 2, 20), (10, 1, 10), (9, 0, 0), (0, 0, 0)] {
        let done = scene.db.rewind(&scene.at(seconds), None).unwrap();
        assert_eq!(scene.rows().len(), rows, "{seconds}");
        assert_eq!(
            Target::Time(Timestamp::new(done.time.get() / SECOND * SECOND)),
            scene.at(at),
            "{seconds}"
        );
        scene.db.rewind(&done.undo.into(), None).unwrap();
        assert_eq!(scene.rows().len(), 3);
    }
}

#[test]
fn a_rewind_is_a_moment_too() {
    let scene = wal();
    scene.pass(10);
    scene.insert("one");
    scene.pass(10);
    scene.db.rewind(&scene.at(5), None).unwrap();
    scene.pass(10);
    scene.insert("other");
    scene.pass(10);
    assert_eq!(scene.db.rewind(&scene.at(15), None).unwrap().method, Method::Written);
    assert_eq!(scene.rows(), ["one"]);
    scene.db.rewind(&scene.at(25), None).unwrap();
    assert_eq!(scene.rows(), Vec::<String>::new());
    scene.db.rewind(&scene.at(35), None).unwrap();
    assert_eq!(scene.rows(), ["other"]);
}

#[test]
fn so_long_ago_counts_from_the_call() {
    let scene = wal();
    scene.insert("one");
    scene.pass(600);
    scene.insert("two");
    scene.pass(60);
    assert!(scene.db.dirty_since(&"5 minutes ago".parse().unwrap()).unwrap());
    assert!(!scene.db.dirty_since(&"59 s ago".parse().unwrap()).unwrap());
    scene.db.rewind(&"5 minutes ago".parse().unwrap(), None).unwrap();
    assert_eq!(scene.rows(), ["one"]);
}

#[test]
fn times_grow_when_the_clock_steps_back() {
    for mode in ["wal", "delete"] {
        let scene = if mode == "wal" { wal() } else { Scene::new(mode) };
        let mut before = Timestamp::new(0);
        let mut known = Vec::new();
        for (number, seconds) in [10, 20, 20, 5, 0, 7, 30].into_iter().enumerate() {
            scene.clock.set(Timestamp::new(START + seconds * SECOND));
            scene.insert(&number.to_string());
            scene.db.mark(&format!("m{number}")).unwrap();
            let time = scene.newest_time();
            assert!(time > before, "{mode} {number}: {time} after {before}");
            before = time;
            known.push(time);
        }
        for (number, time) in known.into_iter().enumerate() {
            let done = scene.db.rewind(&time.into(), None).unwrap();
            assert_eq!((scene.rows().len(), done.time), (number + 1, time), "{mode}");
        }
    }
}

#[test]
fn later_than_everything_is_now() {
    for mode in ["wal", "delete"] {
        let scene = if mode == "wal" { wal() } else { Scene::new(mode) };
        scene.pass(10);
        scene.insert("one");
        for seconds in [10, 11, 100_000] {
            let done = scene.db.rewind(&scene.at(seconds), None).unwrap();
            assert_eq!((done.method, done.to), (Method::Nothing, done.undo), "{mode} {seconds}");
            assert!(!scene.db.dirty_since(&scene.at(seconds)).unwrap());
        }
        assert_eq!(scene.rows(), ["one"]);
    }
}

#[test]
fn before_the_window_is_refused_and_says_what_can_be_reached() {
    for mode in ["wal", "delete"] {
        let scene = if mode == "wal" { wal() } else { Scene::new(mode) };
        scene.pass(10);
        scene.insert("one");
        let early = Target::Time(Timestamp::new(START - 1));
        let refused = scene.db.rewind(&early, None).unwrap_err();
        assert_eq!(refused.code(), Code::BeforeWindow);
        let text = refused.to_string();
        assert!(
            text.contains("2026-11-22T07:48:00Z, when recording began")
                && text.ends_with("with use_earliest"),
            "nothing was evicted, which a larger window would keep: {text}"
        );
        let others = [
            scene.db.dirty_since(&early).unwrap_err(),
            scene.db.at(&early).unwrap_err(),
            scene.db.diff(&early, None).unwrap_err(),
            scene.db.clone_to(&early, &scene.world.path().with_extension("copy")).unwrap_err(),
        ];
        for other in others {
            assert_eq!(other.code(), Code::BeforeWindow, "{other}");
            let text = other.to_string();
            assert!(
                text.ends_with("give that time or a later one"),
                "only a rewind has use_earliest: {text}"
            );
        }
        assert_eq!(scene.rows(), ["one"]);
        let Error::BeforeWindow { earliest, .. } = refused else { panic!("{refused}") };
        let options = RewindOptions { use_earliest: true, ..RewindOptions::default() };
        let done = scene.db.rewind(&early, options).unwrap();
        assert_eq!((scene.rows().len(), done.time), (0, earliest), "{mode}");
        scene.db.rewind(&done.undo.into(), options).unwrap();
        assert_eq!(scene.rows(), ["one"], "an option that is not needed changes nothing");
        scene.db.rewind(&earliest.into(), None).unwrap();
        assert_eq!(scene.rows().len(), 0, "{mode}");
    }
}

#[test]
fn a_lost_mark_is_before_the_window() {
    let scene = Scene::new("delete");
    let mark = scene.db.mark("lost").unwrap();
    scene.db.close().unwrap();
    scene.world.plain("insert into t(v) values ('unrecorded')");
    scene.pass(10);
    let db = record(&scene.world, &scene.clock);
    scene.app.execute("insert into t(v) values ('recorded')", []).unwrap();
    assert_eq!(db.rewind(&"lost".into(), None).unwrap_err().code(), Code::MarkLost);
    assert_eq!(db.rewind(&mark.time.into(), None).unwrap_err().code(), Code::BeforeWindow);
    let options = RewindOptions { use_earliest: true, ..RewindOptions::default() };
    let done = db.rewind(&"lost".into(), options).unwrap();
    assert_eq!(scene.rows(), ["unrecorded"]);
    assert!(done.time > mark.time);
    assert_eq!(db.rewind(&"never".into(), options).unwrap_err().code(), Code::MarkNotFound);
}

#[test]
fn a_marks_time_leads_to_its_commit_though_the_tail_saw_it_later() {
    let scene = wal();
    for round in 0..20 {
        scene.app.execute("insert into t(v) values ('x')", []).unwrap();
        // No drain: the commit's record comes when it comes.
        let mark = scene.db.mark(&format!("m{round}")).unwrap();
        scene.pass(1);
        scene.insert("y");
        let done = scene.db.rewind(&mark.time.into(), None).unwrap();
        assert_eq!((done.to, done.time <= mark.time), (mark.lsn, true), "{round}");
        scene.pass(1);
    }
}

#[test]
fn no_mark_gets_a_name_that_reads_as_a_time() {
    let scene = wal();
    for name in ["5 minutes ago", "2026-11-22T07:48:00Z", "2026-11-22 07:48", "5 fortnights ago"] {
        let refused = scene.db.mark(name).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name}");
        assert!(refused.to_string().contains("reads as a time"), "{refused}");
    }
    scene.db.mark("2026-11-22").unwrap();
}

/// xorshift
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Commits, rewinds and a clock that goes as it likes: each moment's time gives exactly its state, and so does every time
/// up to the next.
fn against_a_model(scene: &Scene, dice: &mut Dice, every_commit: bool) {
    let mut known = vec![(scene.newest_time(), scene.db.digest().unwrap())];
    for step in 0..60 {
        match dice.roll(8) {
            0 => scene.clock.set(Timestamp::new(START + dice.roll(100))),
            1..4 => scene.clock.advance(Duration::from_nanos(dice.roll(30))),
            _ => {}
        }
        if step > 5 && dice.roll(4) == 0 {
            let pick = dice.roll(known.len() as u64) as usize;
            let (time, digest) = known[pick];
            // Any time of the moment's, down to the next one.
            let until = known.get(pick + 1).map_or(time.get() + 50, |next| next.0.get());
            let within = Timestamp::new(time.get() + dice.roll(until - time.get()));
            let done = scene.db.rewind(&within.into(), None).unwrap();
            assert_eq!(scene.db.digest().unwrap(), digest, "{step}: {within} is after {time}");
            assert_eq!(done.time, time, "{step}");
            if done.method == Method::Nothing {
                continue;
            }
        } else {
            scene.insert(&"x".repeat(dice.roll(6000) as usize));
            if !every_commit {
                scene.db.mark(&format!("m{step}")).unwrap();
            }
        }
        known.push((scene.newest_time(), scene.db.digest().unwrap()));
        let times = known.iter().map(|(time, _)| time);
        assert!(times.is_sorted_by(|a, b| a < b), "{step}: {known:?}");
    }
}

#[test]
fn every_time_gives_its_state_in_wal_mode() {
    for seed in 1..=8 {
        against_a_model(&wal(), &mut Dice(seed * 7919), true);
    }
}

#[test]
fn every_time_gives_its_state_where_each_commit_is_marked() {
    for seed in 1..=8 {
        against_a_model(&Scene::new("delete"), &mut Dice(seed * 7919), false);
    }
}

#[test]
fn every_commit_of_a_rollback_mode_is_a_moment_where_that_is_asked_for() {
    for (seed, mode) in (1..).zip(["delete", "truncate", "persist", "memory", "off", "delete", "delete"]) {
        against_a_model(&Scene::keeping(mode, Moments::Commits), &mut Dice(seed * 7919), true);
    }
}

#[test]
fn which_moments_are_kept_belongs_to_the_store() {
    let scene = Scene::keeping("delete", Moments::Commits);
    scene.db.close().unwrap();
    let db = record(&scene.world, &scene.clock);
    let mut known = Vec::new();
    for number in 0..3 {
        scene.pass(10);
        scene.app.execute("insert into t(v) values (?1)", [number]).unwrap();
        known.push((db.now().unwrap(), db.digest().unwrap()));
    }
    for (lsn, digest) in known {
        db.rewind(&lsn.into(), None).unwrap();
        assert_eq!(db.digest().unwrap(), digest);
    }
}

#[test]
fn a_time_between_marks_means_the_mark_before() {
    let scene = Scene::new("delete");
    scene.pass(10);
    scene.insert("one");
    let mark = scene.db.mark("one").unwrap();
    scene.pass(10);
    scene.insert("two");
    scene.pass(10);
    scene.insert("three");
    let done = scene.db.rewind(&scene.at(25), None).unwrap();
    assert_eq!((done.to, done.time.get() / SECOND), (mark.lsn, (START / SECOND) + 10));
    assert_eq!(scene.rows(), ["one"]);
}

/// Pages that are cut off, grown over, freed and taken again between two commits that are kept.
#[test]
fn kept_commits_of_a_file_that_shrinks_and_grows() {
    for seed in 1..=4 {
        let world = World::with("delete", "pragma auto_vacuum = incremental;");
        let clock = ManualClock::new(Timestamp::new(START));
        let db = record_keeping(&world, &clock, Some(Moments::Commits));
        let app = connect(&world);
        let mut dice = Dice(seed * 104_729);
        let mut known = Vec::new();
        for step in 0..120 {
            clock.advance(Duration::from_secs(1));
            match dice.roll(6) {
                0 => app.execute_batch("delete from t where id % 3 = 0").unwrap(),
                1 => app.execute_batch("pragma incremental_vacuum(5)").unwrap(),
                2 => app.execute_batch("begin; insert into t(v) values (zeroblob(9000)); rollback").unwrap(),
                _ => {
                    let v = "y".repeat(dice.roll(20_000) as usize);
                    app.execute("insert into t(v) values (?1)", [v]).unwrap();
                }
            }
            if step % 10 == 9 {
                let (lsn, digest): (dbrewind_sqlite::Lsn, _) = known[dice.roll(known.len() as u64) as usize];
                db.rewind(&lsn.into(), None).unwrap();
                assert_eq!(db.digest().unwrap(), digest, "{seed} {step}");
            }
            known.push((db.now().unwrap(), db.digest().unwrap()));
        }
        for (lsn, digest) in known.iter().rev() {
            db.rewind(&(*lsn).into(), None).unwrap();
            assert_eq!(db.digest().unwrap(), *digest, "{seed} {lsn}");
        }
        world.check(&app);
    }
}

/// Nobody sees a commit before it is there: its time may be late, but not early.
#[test]
fn a_time_is_not_before_its_commit() {
    for mode in ["wal", "delete"] {
        let scene = if mode == "wal" { wal() } else { Scene::new(mode) };
        scene.db.close().unwrap();
        let options = OpenOptions { synchronous: Synchronous::Off, ..OpenOptions::default() };
        let db = Database::open(SqliteApi::bundled(), &scene.world.path(), &options).unwrap();
        for number in 0..50 {
            let before = Timestamp::now();
            scene.app.execute("insert into t(v) values (?1)", [number]).unwrap();
            db.drain().unwrap();
            let time = scene.newest_time();
            assert!(before < time && time <= Timestamp::now(), "{mode} {number}");
        }
    }
}

#[test]
fn commits_that_one_look_finds_have_times_of_their_own() {
    let scene = wal();
    let mut lsns = Vec::new();
    for number in 0..100 {
        scene.app.execute("insert into t(v) values (?1)", [number.to_string()]).unwrap();
        lsns.push(scene.db.now().unwrap());
    }
    scene.db.drain().unwrap();
    let store = Store::open(&scene.world.store(), &StoreOptions::default()).unwrap();
    let mut timeline = Timeline::new(ObjectId::new(0));
    timeline.catch_up(&store).unwrap();
    let times: Vec<Timestamp> = lsns.iter().map(|lsn| timeline.time_of(*lsn).unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    for (number, time) in times.into_iter().enumerate().rev() {
        assert_eq!(scene.db.rewind(&time.into(), None).unwrap().to, lsns[number]);
        assert_eq!(scene.rows().len(), number + 1);
    }
}
