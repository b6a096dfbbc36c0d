//! A recording that is killed at each step of beginning an era: no mark is lost, in no mode.
#![cfg(feature = "fault")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dbrewind_core::{Store, StoreOptions, Timeline};
use dbrewind_sqlite::{Code, Database, MarkState, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;
use support::child;

const PATH: &str = "DBREWIND_TEST_PATH";

fn record(path: &Path, window: Duration) -> Database {
    let options =
        OpenOptions { synchronous: Synchronous::Off, window: Some(window), ..OpenOptions::default() };
    Database::open(SqliteApi::bundled(), path, &options).unwrap()
}

fn connect(path: &Path) -> Connection {
    // The shim is the default VFS where it is needed.
    let app = Connection::open(path).unwrap();
    app.busy_timeout(Duration::from_secs(10)).unwrap();
    app
}

/// An era is due after a sixteenth of a second.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_begins_an_era() {
    let Ok(path) = std::env::var(PATH) else { return };
    let path = Path::new(&path);
    let _db = record(path, Duration::from_secs(1));
    let app = connect(path);
    for round in 0..40 {
        app.execute("INSERT INTO t(x) VALUES(?1)", [round]).unwrap();
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// A mark finds that an era is due.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_begins_an_era_with_a_mark() {
    let Ok(path) = std::env::var(PATH) else { return };
    let path = Path::new(&path);
    let db = record(path, Duration::from_secs(3600));
    connect(path).execute("INSERT INTO t(x) VALUES('marked')", []).unwrap();
    drop(db);
    std::thread::sleep(Duration::from_millis(100));
    let db = record(path, Duration::from_secs(1));
    db.mark("another").unwrap();
}

/// A rewind from an era to the one before.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_rewinds_to_the_era_before() {
    let Ok(path) = std::env::var(PATH) else { return };
    let path = Path::new(&path);
    let db = record(path, Duration::from_secs(1));
    let app = connect(path);
    for round in 0..20 {
        app.execute("INSERT INTO t(x) VALUES(?1)", [round]).unwrap();
        std::thread::sleep(Duration::from_millis(25));
    }
    db.rewind(&Target::from("seeded"), None).unwrap();
}

fn killed(mode: &str, test: &str, place: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let app = Connection::open(&path).unwrap();
    app.execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, x)"))
        .unwrap();
    drop(app);
    let db = record(&path, Duration::from_secs(3600));
    let app = connect(&path);
    app.execute_batch("INSERT INTO t(x) VALUES('one'), ('two')").unwrap();
    db.mark("seeded").unwrap();
    let seeded = db.digest().unwrap();
    app.execute_batch("INSERT INTO t(x) VALUES('three')").unwrap();
    drop(app);
    db.close().unwrap();
    assert!(child::dies_at(test, &path, &format!("1 {place}")), "{place}: not reached");
    let db = record(&path, Duration::from_secs(3600));
    let states: Vec<MarkState> = db.marks().unwrap().iter().map(|mark| mark.state).collect();
    assert!(
        states.iter().all(|state| !matches!(state, MarkState::Lost | MarkState::Evicted)),
        "{place}: {states:?}"
    );
    let now = db.digest().unwrap();
    db.mark("now").unwrap();
    db.rewind(&Target::from("now"), None).unwrap();
    assert_eq!(db.digest().unwrap(), now, "{place}: at once");
    connect(&path).execute("INSERT INTO t(x) VALUES('after')", []).unwrap();
    for (name, digest) in [("seeded", seeded), ("now", now), ("seeded", seeded)] {
        db.rewind(&Target::from(name), None).unwrap();
        assert_eq!(db.digest().unwrap(), digest, "{place}: {name}");
    }
    let ok: String = connect(&path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok", "{place}");
}

#[test]
fn hazard_killed_at_an_era_boundary_in_wal_mode() {
    for place in ["wal boundary: numbered", "wal boundary: recorded", "wal boundary: announced"] {
        killed("wal", "child_begins_an_era", place);
    }
}

#[test]
fn hazard_killed_at_an_era_boundary_in_a_rollback_mode() {
    for place in ["rollback boundary: moved", "rollback boundary: recorded"] {
        killed("delete", "child_begins_an_era", place);
        killed("delete", "child_begins_an_era_with_a_mark", place);
    }
}

#[test]
fn hazard_killed_in_a_rewind_to_the_era_before() {
    for place in ["wal written rewind: published", "wal written rewind: images recorded"] {
        killed("wal", "child_rewinds_to_the_era_before", place);
    }
}

/// The same right after an era boundary, at which a reader kept the WAL from being begun anew.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_rewinds_behind_a_reader_of_an_era_boundary() {
    let Ok(path) = std::env::var(PATH) else { return };
    let path = Path::new(&path);
    let db = record(path, Duration::from_secs(3600));
    let app = connect(path);
    app.execute("INSERT INTO t(x) VALUES('four')", []).unwrap();
    app.execute_batch("BEGIN").unwrap();
    count(&app);
    let store = Store::open(&path.with_file_name("app.db-rewind"), &StoreOptions::default()).unwrap();
    let mut timeline = Timeline::new(store.objects().unwrap()[0].0);
    timeline.catch_up(&store).unwrap();
    let before = timeline.era().unwrap().first;
    store.set_window(Duration::from_secs(1));
    while timeline.era().unwrap().first == before {
        std::thread::yield_now();
        timeline.catch_up(&store).unwrap();
    }
    db.rewind(&Target::from("seeded"), None).unwrap();
}

/// Frames came after the boundary's anchor, and SQLite's recovery no longer tells how much is back-filled.
#[test]
fn hazard_killed_in_a_rewind_right_after_an_era_boundary_beside_a_reader() {
    for _ in 0..5 {
        for place in ["wal written rewind: published", "wal written rewind: images recorded"] {
            killed("wal", "child_rewinds_behind_a_reader_of_an_era_boundary", place);
        }
    }
}

/// A rewind finds that an era is due, and begins it above frames that are not in the database file.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_begins_an_era_in_a_rewind() {
    let Ok(path) = std::env::var(PATH) else { return };
    let path = Path::new(&path);
    let db = record(path, Duration::from_secs(3600));
    let app = connect(path);
    app.execute("INSERT INTO t(x) VALUES('four')", []).unwrap();
    db.mark("another").unwrap();
    db.rewind(&Target::from("seeded"), None).unwrap();
    let store = Store::open(&path.with_file_name("app.db-rewind"), &StoreOptions::default()).unwrap();
    let mut timeline = Timeline::new(store.objects().unwrap()[0].0);
    timeline.catch_up(&store).unwrap();
    let begun = timeline.era().unwrap().time.get();
    let lasted = |now: dbrewind_core::Timestamp| Duration::from_nanos(now.get().saturating_sub(begun));
    // Due, and not so long that the tail would begin it.
    while lasted(dbrewind_core::Timestamp::now()) < Duration::from_millis(400) {
        std::thread::sleep(Duration::from_millis(1));
    }
    app.execute("INSERT INTO t(x) VALUES('five')", []).unwrap();
    db.rewind(&Target::from("another"), None).unwrap();
    store.set_window(lasted(dbrewind_core::Timestamp::now()) * 12);
    db.rewind(&Target::from("seeded"), None).unwrap();
    db.rewind(&Target::from("another"), None).unwrap();
}

#[test]
fn hazard_killed_in_a_rewind_that_begins_an_era() {
    let places = ["bases saved", "numbered", "announced", "recorded"];
    for place in places.map(|place| format!("wal boundary: {place}")) {
        killed("wal", "child_begins_an_era_in_a_rewind", &place);
    }
}

/// Somebody else holds the recording, tells so by a file, and dies at an era boundary once one is due.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_holds_until_an_era_is_due() {
    let Ok(path) = std::env::var(PATH) else { return };
    let path = Path::new(&path);
    let _db = record(path, Duration::from_secs(3600));
    std::fs::write(path.with_extension("holds"), "").unwrap();
    std::thread::sleep(Duration::from_secs(30));
}

fn wait_for(file: &Path) {
    let started = Instant::now();
    while !file.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "{file:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Answers whether the mark was set before any recording had taken over.
fn marked_before_anybody_took_over(place: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let app = Connection::open(&path).unwrap();
    app.execute_batch(
        "PRAGMA journal_mode=wal; PRAGMA synchronous=off; CREATE TABLE t(id INTEGER PRIMARY KEY, x)",
    )
    .unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_holds_until_an_era_is_due", "--ignored"])
        .env(PATH, &path)
        .env("DBREWIND_FAULT_AT", format!("1 {place}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&path.with_extension("holds"));
    let db = record(&path, Duration::from_secs(3600));
    let store = Store::open(&dir.path().join("app.db-rewind"), &StoreOptions::default()).unwrap();
    let object = store.objects().unwrap()[0].0;
    app.execute("INSERT INTO t(x) VALUES('before')", []).unwrap();
    db.mark("before").unwrap();
    db.drain().unwrap();
    // It is at the WAL's end, and keeps everybody from beginning it anew.
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 1);
    store.set_window(Duration::from_secs(1));
    // In the midst of taking over, as far as the others can tell.
    let role = loop {
        match store.try_hold(object).unwrap() {
            Some(role) => break role,
            None => std::hint::spin_loop(),
        }
        if holder.try_wait().unwrap().is_some() && store.try_hold(object).unwrap().is_none() {
            // The recording of this process was faster.
            return false;
        }
    };
    assert!(!holder.wait().unwrap().success(), "{place}: not reached");
    app.execute("INSERT INTO t(x) VALUES('after')", []).unwrap();
    let rows = count(&app);
    let marked = db.mark("beside");
    drop((role, reader));
    let digest = db.digest().unwrap();
    if let Err(error) = &marked {
        assert_eq!(error.code(), Code::NotAttached, "{place}: {error}");
        db.mark("beside").unwrap();
    }
    app.execute("DELETE FROM t", []).unwrap();
    db.rewind(&Target::from("beside"), None).unwrap();
    assert_eq!(count(&app), rows, "{place}");
    assert_eq!(db.digest().unwrap(), digest, "{place}");
    assert!(db.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost), "{place}");
    true
}

fn count(app: &Connection) -> i64 {
    app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

/// Until somebody takes over nobody but the dead process knew how LSNs are counted: a mark of a commit made meanwhile must
/// not get the number of the moment before.
#[test]
fn hazard_a_mark_between_a_kill_at_an_era_boundary_and_the_takeover() {
    for place in ["wal boundary: announced", "wal boundary: recorded"] {
        assert!((0..20).any(|_| marked_before_anybody_took_over(place)), "{place}");
    }
}
