//! The end of an era of a rollback mode: the state that the next one begins with, which can be reached though nobody marked it.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dbrewind_core::{Cursor, Head, Kind, Store, StoreOptions, Timeline};
use dbrewind_sqlite::{
    Clock, Code, Database, Lsn, ManualClock, OpenOptions, SqliteApi, Synchronous, Target, Timestamp,
};
use rusqlite::Connection;
use support::World;

const START: u64 = 1_800_000_000_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

/// An era is due once the present one has lasted an hour.
fn record(world: &World, clock: &ManualClock) -> Database {
    let options = OpenOptions {
        synchronous: Synchronous::Off,
        timeout: Duration::from_secs(10),
        clock: Clock::Manual(clock.clone()),
        window: Some(16 * HOUR),
        ..OpenOptions::default()
    };
    Database::open(SqliteApi::bundled(), &world.path(), &options).unwrap()
}

fn scene(mode: &str) -> (World, ManualClock, Database, Connection) {
    let world = World::new(mode, 512);
    let clock = ManualClock::new(Timestamp::new(START));
    let db = record(&world, &clock);
    let app = world.connect();
    (world, clock, db, app)
}

fn timeline(world: &World) -> Timeline {
    let store = Store::open(&world.store(), &StoreOptions::default()).unwrap();
    let object = store.objects().unwrap()[0].0;
    let mut timeline = Timeline::new(object);
    timeline.catch_up(&store).unwrap();
    timeline
}

/// All pages, without the bytes that move forward. Read by another process: closing the file here would drop SQLite's locks.
fn pages(file: &Path) -> Vec<u8> {
    let mut bytes = Command::new("cat").arg(file).output().unwrap().stdout;
    for moving in [18..20, 24..28, 40..44, 92..100] {
        bytes[moving].fill(0);
    }
    bytes
}

/// The pages of a copy of a moment.
fn copied(db: &Database, world: &World, target: &Target) -> Vec<u8> {
    let copy = world.dir.path().join("copy.db");
    db.clone_to(target, &copy).unwrap();
    let pages = pages(&copy);
    std::fs::remove_file(copy).unwrap();
    pages
}

#[test]
fn a_commit_before_an_era_that_a_mark_began() {
    for mode in support::MODES {
        let (world, clock, db, app) = scene(mode);
        clock.advance(Duration::from_secs(10));
        app.execute("insert into t(v) values ('one')", []).unwrap();
        let (one, state) = (db.now().unwrap(), pages(&world.path()));
        clock.advance(2 * HOUR);
        let mark = db.mark("later").unwrap();
        assert!(mark.lsn > one, "{mode}: an era has begun");
        clock.advance(HOUR / 2);
        app.execute("insert into t(v) values ('two')", []).unwrap();
        let between = Target::Time(Timestamp::new(START + 3_600_000_000_000));
        for target in [between, Target::Lsn(one)] {
            assert_eq!(copied(&db, &world, &target), state, "{mode}: {target:?}");
            let done = db.rewind(&target, None).unwrap();
            assert_eq!((done.to, world.count(&app)), (one, 1), "{mode}: {target:?}");
            assert_eq!(pages(&world.path()), state, "{mode}: {target:?}");
            db.rewind(&done.undo.into(), None).unwrap();
            assert_eq!(world.count(&app), 2, "{mode}");
        }
    }
}

/// The look at the newest commit, which keeps it, begins an era.
#[test]
fn the_newest_commit_is_read_and_an_era_begins_with_that() {
    for time in [false, true] {
        let (world, clock, db, app) = scene("delete");
        clock.advance(Duration::from_secs(10));
        app.execute("insert into t(v) values ('one')", []).unwrap();
        let (one, state) = (db.now().unwrap(), pages(&world.path()));
        clock.advance(2 * HOUR);
        let target = if time { Target::Time(clock.now()) } else { Target::Lsn(one) };
        let view = db.at(&target).unwrap();
        assert!(timeline(&world).last() > one, "an era has begun");
        app.execute("insert into t(v) values ('two')", []).unwrap();
        assert_eq!(copied(&db, &world, &Target::Lsn(one)), state);
        drop(view);
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Whatever is done between two eras, begun by marks or by commits: what counts as reachable is page for page what it was, what a
/// time leads to too, and the last moment of each era is among it.
#[test]
fn each_moment_that_can_be_reached_is_page_for_page_what_it_was() {
    for (seed, mode) in (1..).zip(support::MODES) {
        let mut dice = Dice(seed * 104_729);
        let (world, clock, db, app) = scene(mode);
        app.execute_batch("pragma cache_size = 5").unwrap();
        let mut known: Vec<(Lsn, Vec<u8>)> = vec![(db.now().unwrap(), pages(&world.path()))];
        for step in 0..100 {
            clock.advance(HOUR * u32::try_from(dice.roll(60)).unwrap() / 60);
            match dice.roll(12) {
                0..2 => drop(db.mark(&format!("m{step}")).unwrap()),
                2 => app.execute_batch("delete from t where id % 3 = 0").unwrap(),
                3 if mode != "off" => app
                    .execute_batch(
                        "begin; update t set v = 'gone'; insert into t(v) values (zeroblob(9000)); rollback",
                    )
                    .unwrap(),
                4 => app.execute_batch("vacuum").unwrap(),
                5 if step > 20 => {
                    let reachable: Vec<_> =
                        known.iter().filter(|(lsn, _)| timeline(&world).reachable(*lsn).is_ok()).collect();
                    let (lsn, state) = reachable[dice.roll(reachable.len() as u64) as usize];
                    db.rewind(&(*lsn).into(), None).unwrap();
                    assert_eq!(&pages(&world.path()), state, "{seed} {mode} {step}: {lsn}");
                }
                _ => {
                    let v = "y".repeat(dice.roll(4000) as usize);
                    app.execute(
                        "insert or replace into t(id, v) values (?1, ?2)",
                        (i64::try_from(dice.roll(40)).unwrap(), v),
                    )
                    .unwrap();
                }
            }
            let (now, state) = (db.now().unwrap(), pages(&world.path()));
            if known.last().is_none_or(|(lsn, _)| *lsn != now) {
                known.push((now, state));
            }
        }
        db.mark("end").unwrap();
        let history = timeline(&world);
        let moments = moments(&world);
        let (mut ends, mut refused) = (0, 0);
        for (lsn, state) in &known {
            let is_end = moments.range(lsn.next().unwrap()..).next().is_some_and(|(_, is_era)| *is_era);
            ends += u64::from(is_end);
            match history.reachable(*lsn) {
                Ok(()) => {
                    assert_eq!(&copied(&db, &world, &(*lsn).into()), state, "{seed} {mode}: {lsn}");
                    db.rewind(&(*lsn).into(), None).unwrap();
                    assert_eq!(&pages(&world.path()), state, "{seed} {mode}: {lsn}");
                }
                Err(why) => {
                    assert_eq!(why.code(), Code::MarkNotFound, "{seed} {mode}: {lsn}");
                    assert!(!is_end, "{seed} {mode}: {lsn} is the last one of its era");
                    refused += 1;
                }
            }
            let time = history.time_of(*lsn).unwrap();
            let meant = history.at_time(time).unwrap();
            history.reachable(meant).unwrap();
            if let Some((_, state)) = known.iter().find(|(known, _)| *known == meant) {
                db.rewind(&time.into(), None).unwrap();
                assert_eq!(&pages(&world.path()), state, "{seed} {mode}: {time} means {meant}");
            }
        }
        assert!(ends > 2 && refused > 0, "{seed} {mode}: {ends} {refused}");
    }
}

/// All moments that the log knows of: whether an era begins with it.
fn moments(world: &World) -> BTreeMap<Lsn, bool> {
    let store = Store::open(&world.store(), &StoreOptions::default()).unwrap();
    let mut found = BTreeMap::new();
    let mut see = |head: Head, _, _| {
        if matches!(head.kind, Kind::Era | Kind::Commit | Kind::Rewind) {
            found.insert(head.lsn, head.kind == Kind::Era);
        }
    };
    store.scan(&mut Cursor::default(), &mut see).unwrap();
    found
}
