//! A week of work in a small store: what is evicted, what is not, and that every moment which can be reached is exact.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use dbrewind_core::{Clock, ManualClock, Timestamp};
use dbrewind_sqlite::{Code, Database, MarkState, OpenOptions, SqliteApi, Synchronous, Target, WindowState};
use rusqlite::Connection;

const LIMIT: u64 = 4 << 20;
const HOUR: Duration = Duration::from_secs(3600);

/// Bytes of a store's folder.
#[derive(Debug, Default)]
struct Taken {
    /// Of segments, each in the longer of its forms.
    log: u64,
    /// Of their other forms, finished or not.
    sealing: u64,
    /// Blocks of the file system for all of the folder but the spare files of the rewinds.
    blocks: u64,
}

struct Week {
    dir: tempfile::TempDir,
    clock: ManualClock,
    window: Duration,
    seed: u64,
}

impl Week {
    fn new(mode: &'static str, window: Duration) -> Self {
        let week = Self {
            dir: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(Timestamp::new(1_800_000_000_000_000_000)),
            window,
            seed: 4711,
        };
        let app = Connection::open(week.path()).unwrap();
        app.execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, x)"))
            .unwrap();
        for id in 0..60 {
            app.execute("INSERT INTO t VALUES(?1, randomblob(3000))", [id]).unwrap();
        }
        week
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn record(&self) -> Database {
        self.record_with(LIMIT)
    }

    fn record_with(&self, limit: u64) -> Database {
        let options = OpenOptions {
            synchronous: Synchronous::Off,
            limit: Some(limit),
            window: Some(self.window),
            clock: Clock::Manual(self.clock.clone()),
            timeout: Duration::from_secs(20),
            ..OpenOptions::default()
        };
        Database::open(SqliteApi::bundled(), &self.path(), &options).unwrap()
    }

    /// What the folder takes, whatever the store says of itself.
    fn taken(&self) -> Taken {
        let mut taken = Taken::default();
        let mut forms: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for entry in fs::read_dir(self.dir.path().join("app.db-rewind")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_str().unwrap().to_owned();
            // One that was removed meanwhile takes nothing.
            let Ok(metadata) = entry.metadata() else { continue };
            match name.split_once('.') {
                Some((_, "zst.tmp")) => taken.sealing += metadata.len(),
                Some((number, "seg" | "zst")) => {
                    forms.entry(number.to_owned()).or_default().push(metadata.len());
                }
                _ => {}
            }
            if !name.starts_with("guard-") {
                taken.blocks += metadata.blocks() * 512;
            }
        }
        for lens in forms.into_values() {
            let longest = lens.iter().copied().max().unwrap_or(0);
            taken.log += longest;
            taken.sealing += lens.iter().sum::<u64>() - longest;
        }
        taken
    }

    /// The log within the limit; beside it the other form of what is being sealed, the control file, and
    /// what is left of the last block of each file.
    fn check_taken(&self, limit: u64) {
        let taken = self.taken();
        assert!(taken.log > 0 && taken.log <= limit, "{taken:?} of {limit}");
        // A listing is no moment: it may have met the end of one seal and the beginning of the next.
        assert!(taken.sealing <= limit / 4, "{taken:?} of {limit}");
        assert!(taken.blocks <= limit + taken.sealing + (512 << 10), "{taken:?} of {limit}");
    }

    fn draw(&mut self, upto: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % upto
    }

    /// An hour's work: a few rows are changed, and some grow or go.
    fn work(&mut self, app: &Connection) {
        for _ in 0..1 + self.draw(4) {
            let (id, length) = (self.draw(60) as i64, 1000 + self.draw(6000) as i64);
            app.execute("INSERT OR REPLACE INTO t VALUES(?1, randomblob(?2))", [id, length]).unwrap();
        }
        if self.draw(9) == 0 {
            let id = self.draw(60) as i64;
            app.execute("DELETE FROM t WHERE id BETWEEN ?1 AND ?1 + 5", [id]).unwrap();
        }
    }
}

/// Waits for the threads of the recording to have done what there is to do.
fn settle(db: &Database) {
    db.drain().unwrap();
    std::thread::sleep(Duration::from_millis(15));
}

fn a_week(mode: &'static str, window: Duration) -> (u64, u64) {
    let mut week = Week::new(mode, window);
    let mut db = week.record();
    let app = Connection::open_with_flags_and_vfs(
        week.path(),
        rusqlite::OpenFlags::default(),
        if mode == "wal" { "unix" } else { "dbrewind" },
    )
    .unwrap();
    app.busy_timeout(Duration::from_secs(20)).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    let mut marks: Vec<(String, [u8; 16])> = Vec::new();
    let (mut evicted_at_all, mut rewinds) = (0, 0);
    for hour in 0..7 * 24 * 4 {
        week.work(&app);
        let name = format!("hour {hour}");
        let pinned = hour == 400;
        if pinned {
            db.mark_pinned(&name).unwrap()
        } else {
            db.mark(&name).unwrap()
        };
        marks.push((name, db.digest().unwrap()));
        week.clock.advance(HOUR / 4);
        settle(&db);
        week.check_taken(LIMIT);
        if hour % 16 == 0 {
            // The background thread works by the clock on the wall.
            std::thread::sleep(Duration::from_millis(150));
            let status = db.status().unwrap();
            assert!(status.used <= LIMIT, "{mode}: {status:?}");
            assert!(!matches!(status.state, WindowState::Stopped), "{mode}: {status:?}");
        }
        if hour == 424 {
            // It has kept what is older than what there is room for else.
            assert_eq!(db.status().unwrap().pins.len(), 1);
            db.rewind(&Target::from("hour 400"), None).unwrap();
            assert_eq!(db.digest().unwrap(), marks[400].1, "{mode}");
            db.drop_mark("hour 400").unwrap();
        }
        if hour == 300 {
            db.close().unwrap();
            db = week.record();
        }
        if hour % 7 == 0 {
            let listed = db.marks().unwrap();
            let some = week.draw(listed.len() as u64) as usize;
            let (name, digest) = marks.iter().find(|(name, _)| *name == listed[some].name).unwrap();
            match db.rewind(&Target::from(name.as_str()), None) {
                Ok(_) => {
                    assert_eq!(db.digest().unwrap(), *digest, "{mode}: {name} at hour {hour}");
                    rewinds += 1;
                }
                Err(error) => {
                    assert_eq!(error.code(), Code::BeforeWindow, "{mode}: {error}");
                    assert_eq!(db.digest().unwrap(), marks[marks.len() - 1].1, "{mode}: nothing was changed");
                    evicted_at_all += 1;
                }
            }
        }
    }
    let status = db.status().unwrap();
    assert!(status.marks.evicted > 0 && status.marks.lost == 0, "{mode}: {status:?}");
    assert_eq!(status.pins.len(), 0);
    // Exact to the last one.
    for mark in db.marks().unwrap() {
        let (name, digest) = marks.iter().find(|(name, _)| *name == mark.name).unwrap();
        match mark.state {
            MarkState::Evicted => {
                let error = db.rewind(&Target::from(name.as_str()), None).unwrap_err();
                assert_eq!(error.code(), Code::BeforeWindow, "{mode}: {error}");
            }
            _ => match db.rewind(&Target::from(name.as_str()), None) {
                Ok(_) => {
                    assert_eq!(db.digest().unwrap(), *digest, "{mode}: {name}");
                    // These rewinds take room, too, which the background thread has to find.
                    std::thread::sleep(Duration::from_millis(40));
                }
                Err(error) => assert_eq!(error.code(), Code::BeforeWindow, "{mode}: {error}"),
            },
        }
    }
    let ok: String = app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok");
    (rewinds, evicted_at_all)
}

#[test]
fn a_week_in_wal_mode_stays_within_its_bytes() {
    let (rewinds, evicted) = a_week("wal", Duration::from_secs(72 * 3600));
    assert!(rewinds > 10 && evicted > 0, "{rewinds} {evicted}");
}

#[test]
fn a_week_in_a_rollback_mode_stays_within_its_bytes() {
    let (rewinds, evicted) = a_week("delete", Duration::from_secs(72 * 3600));
    assert!(rewinds > 10 && evicted > 0, "{rewinds} {evicted}");
}

/// Waits for the background threads to come to something.
fn until(db: &Database, what: &str, holds: impl Fn(&Database) -> bool) {
    let started = std::time::Instant::now();
    while !holds(db) {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: {:?}", db.status().unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn state_of(db: &Database, name: &str) -> MarkState {
    db.marks().unwrap().into_iter().find(|mark| mark.name == name).unwrap().state
}

/// Four days, with a target of one: what is older than the pin goes, what is younger stays with it, and goes once it is dropped.
fn a_pin_of_four_days(mode: &'static str) {
    const DAY: usize = 24 * 4;
    const OLDER: usize = DAY / 3;
    const PINNED: usize = DAY * 2 / 3;
    let mut week = Week::new(mode, 24 * HOUR);
    let db = week.record_with(2 * LIMIT);
    let vfs = if mode == "wal" { "unix" } else { "dbrewind" };
    let app = Connection::open_with_flags_and_vfs(week.path(), rusqlite::OpenFlags::default(), vfs).unwrap();
    app.busy_timeout(Duration::from_secs(20)).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    let name = |quarter: usize| format!("quarter {quarter}");
    let mut digests = Vec::new();
    let pass = |week: &mut Week, quarter: usize| {
        if quarter < PINNED {
            // So much that whole segments are older than the pin's.
            week.work(&app);
            week.work(&app);
        } else {
            let id = week.draw(60) as i64;
            app.execute("UPDATE t SET x = randomblob(800) WHERE id = ?1", [id]).unwrap();
        }
        if quarter == PINNED {
            db.mark_pinned(&name(quarter)).unwrap()
        } else {
            db.mark(&name(quarter)).unwrap()
        };
        week.clock.advance(HOUR / 4);
        settle(&db);
        week.check_taken(2 * LIMIT);
        db.digest().unwrap()
    };
    for quarter in 0..PINNED + 4 * DAY {
        digests.push(pass(&mut week, quarter));
    }
    until(&db, "what is older than the pin goes", |db| state_of(db, &name(OLDER)) == MarkState::Evicted);
    let status = db.status().unwrap();
    assert_eq!(status.pins.iter().map(|pin| pin.name.as_str()).collect::<Vec<_>>(), [name(PINNED)]);
    // The era of the pin, or the next one, if that began with its state.
    assert!(status.window >= 95 * HOUR && status.pins[0].bytes > 0, "{status:?}");
    let before = db.digest().unwrap();
    let refused = |older: usize| {
        let error = db.rewind(&Target::from(name(older).as_str()), None).unwrap_err();
        assert_eq!(error.code(), Code::BeforeWindow, "{mode}: {error}");
        assert_eq!(db.digest().unwrap(), before, "{mode}: nothing was changed");
    };
    refused(OLDER);
    refused(0);
    // What came after the pin, a target and more ago, and the pin: last, since what is gone to is kept by that from then on.
    for there in [PINNED + DAY, PINNED + 1, PINNED] {
        let undo = db.rewind(&Target::from(name(there).as_str()), None).unwrap().undo;
        assert_eq!(db.digest().unwrap(), digests[there], "{mode}: {there}");
        db.rewind(&Target::Lsn(undo), None).unwrap();
        assert_eq!(db.digest().unwrap(), before, "{mode}: back from {there}");
    }
    db.drop_mark(&name(PINNED)).unwrap();
    for quarter in PINNED + 4 * DAY..PINNED + 6 * DAY {
        pass(&mut week, quarter);
    }
    until(&db, "what the pin has kept goes", |db| state_of(db, &name(PINNED + 1)) == MarkState::Evicted);
    let error = db.rewind(&Target::from(name(PINNED + 1).as_str()), None).unwrap_err();
    assert_eq!(error.code(), Code::BeforeWindow, "{mode}: {error}");
}

#[test]
fn a_pin_is_honoured_for_days_in_wal_mode() {
    a_pin_of_four_days("wal");
}

#[test]
fn a_pin_is_honoured_for_days_in_a_rollback_mode() {
    a_pin_of_four_days("delete");
}

#[test]
fn a_target_of_a_day_evicts_what_is_older_though_there_is_room() {
    for mode in ["wal", "delete"] {
        let mut week = Week::new(mode, 2 * HOUR);
        let db = week.record();
        let vfs = if mode == "wal" { "unix" } else { "dbrewind" };
        let app =
            Connection::open_with_flags_and_vfs(week.path(), rusqlite::OpenFlags::default(), vfs).unwrap();
        db.mark("first").unwrap();
        let started = std::time::Instant::now();
        let evicted = loop {
            week.work(&app);
            db.mark(&format!("at {}", week.clock.now())).unwrap();
            week.clock.advance(HOUR / 8);
            settle(&db);
            std::thread::sleep(Duration::from_millis(10));
            let status = db.status().unwrap();
            if status.marks.evicted > 0 {
                break status;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{mode}: {status:?}");
        };
        assert_eq!(evicted.state, WindowState::Ok, "{mode}: {evicted:?}");
        assert!(evicted.window >= 2 * HOUR, "{mode}: {evicted:?}");
        let first = Target::from("first");
        let errors = [db.rewind(&first, None).unwrap_err(), db.dirty_since(&first).unwrap_err()];
        for (error, offers) in errors.iter().zip([true, false]) {
            let text = error.to_string();
            assert_eq!(error.code(), Code::BeforeWindow, "{text}");
            assert_eq!(text.contains("use_earliest"), offers, "{text}");
            assert!(
                text.contains("the earliest moment that can be reached") && text.contains("larger window"),
                "{text}"
            );
        }
    }
}

/// The application commits all the time: our checkpoint alone never finds everything in the database file.
#[test]
fn commits_without_a_pause_do_not_keep_eras_from_beginning() {
    let week = Week::new("wal", HOUR);
    let options =
        OpenOptions { synchronous: Synchronous::Off, limit: Some(64 << 20), ..OpenOptions::default() };
    let db = Database::open(SqliteApi::bundled(), &week.path(), &options).unwrap();
    db.mark("first").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let app = Connection::open(week.path()).unwrap();
            app.busy_timeout(Duration::from_secs(20)).unwrap();
            app.execute_batch("PRAGMA synchronous=OFF").unwrap();
            let mut id = 0_i64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                id += 1;
                app.execute("UPDATE t SET x = randomblob(3000) WHERE id = ?1", [id % 60]).unwrap();
                if id % 10 == 0 {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
        });
        let started = std::time::Instant::now();
        let mut status = db.status().unwrap();
        while status.marks.evicted == 0 && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(50));
            status = db.status().unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(status.marks.evicted > 0, "{status:?}");
        assert_eq!(status.state, WindowState::Alert, "{status:?}");
        assert!(status.used <= status.limit, "{status:?}");
    });
    db.mark("now").unwrap();
    db.rewind(&Target::from("now"), None).unwrap();
}
