//! A test session that goes back to one mark thousands of times, in a small store.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "functions of a test")]

mod support;

use std::path::Path;
use std::time::Duration;

use dbrewind_sqlite::{Code, Database, MarkState, OpenOptions, SqliteApi, Synchronous, Target, WindowState};
use rusqlite::Connection;

const LIMIT: u64 = 8 << 20;

fn record(path: &Path) -> Database {
    let options = OpenOptions {
        synchronous: Synchronous::Off,
        limit: Some(LIMIT),
        timeout: Duration::from_secs(20),
        ..OpenOptions::default()
    };
    Database::open(SqliteApi::bundled(), path, &options).unwrap()
}

fn connect(path: &Path, vfs: &str) -> Connection {
    let app = Connection::open_with_flags_and_vfs(path, rusqlite::OpenFlags::default(), vfs).unwrap();
    app.busy_timeout(Duration::from_secs(20)).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    app
}

fn rounds(mode: &str, rounds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let vfs = if mode == "wal" { "unix" } else { "dbrewind" };
    let app = Connection::open(&path).unwrap();
    app.execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, x)"))
        .unwrap();
    for id in 0..60 {
        app.execute("INSERT INTO t VALUES(?1, randomblob(3000))", [id]).unwrap();
    }
    drop(app);
    let mut db = record(&path);
    let mut app = connect(&path, vfs);
    let base = db.mark_pinned("base").unwrap();
    let loose = db.mark("loose").unwrap();
    let expected = db.digest().unwrap();
    let to = Target::from("base");
    for round in 0..rounds {
        app.execute("UPDATE t SET x = randomblob(3000) WHERE id = ?1", [(round * 7 % 60) as i64]).unwrap();
        if round % 3 == 0 {
            app.execute("INSERT INTO t(x) VALUES(randomblob(?1))", [(round % 5000) as i64]).unwrap();
        }
        let done = db.rewind(&to, None).unwrap_or_else(|error| panic!("{mode}: round {round}: {error}"));
        assert_eq!(done.to, base.lsn, "{mode}: round {round}");
        assert!(done.time <= base.time, "{mode}: round {round}");
        if round % 97 == 0 {
            assert_eq!(db.digest().unwrap(), expected, "{mode}: round {round}");
            assert!(!db.dirty_since(&to).unwrap());
            let status = db.status().unwrap();
            assert!(status.used <= LIMIT, "{mode}: round {round}: {status:?}");
            // `Full` at an instant is a matter of time: nothing goes that is younger than a tenth of a second.
            assert_ne!(status.state, WindowState::Stopped, "{mode}: {status:?}");
        }
        if round % 997 == 500 {
            // By its number, and back to where that led from.
            app.execute_batch("DELETE FROM t WHERE id < 30").unwrap();
            let there = db.digest().unwrap();
            let done = db.rewind(&Target::Lsn(base.lsn), None).unwrap();
            assert_eq!(db.digest().unwrap(), expected, "{mode}: round {round}");
            db.rewind(&Target::Lsn(done.undo), None).unwrap();
            assert_eq!(db.digest().unwrap(), there, "{mode}: round {round}");
            db.rewind(&Target::from("loose"), None).unwrap();
            assert_eq!(db.digest().unwrap(), expected, "{mode}: round {round}");
        }
        if round % 3001 == 3000 {
            drop(app);
            db.close().unwrap();
            db = record(&path);
            app = connect(&path, vfs);
        }
    }
    let status = db.status().unwrap();
    assert!(status.earliest.unwrap().0 > base.lsn, "{mode}: nothing was evicted: {status:?}");
    assert_eq!(status.marks.evicted + status.marks.lost, 0, "{mode}: {status:?}");
    assert_eq!(status.pins.len(), 1);
    assert!(status.pins[0].bytes < LIMIT / 2 && status.pins[0].lsn == base.lsn, "{mode}: {status:?}");
    let marks = db.marks().unwrap();
    assert_eq!(marks.len(), 2);
    assert!(marks.iter().all(|mark| mark.lsn == loose.lsn && mark.lsn == base.lsn));
    assert!(marks.iter().all(|mark| matches!(mark.state, MarkState::Hot | MarkState::Archived)));
    // Beside the database, at whatever moment it is.
    app.execute_batch("DELETE FROM t").unwrap();
    let copy = dir.path().join("copy.db");
    db.clone_to(&to, &copy).unwrap();
    let count =
        |db: &Connection| db.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(&Connection::open(&copy).unwrap()), 60, "{mode}");
    // Who opens the store now knows it as well.
    drop(app);
    db.close().unwrap();
    let db = record(&path);
    db.rewind(&to, None).unwrap();
    assert_eq!(db.digest().unwrap(), expected, "{mode}");
    let ok: String = connect(&path, vfs).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok", "{mode}");
    db.drop_mark("base").unwrap();
    db.rewind(&Target::from("loose"), None).unwrap();
    assert_eq!(db.rewind(&to, None).unwrap_err().code(), Code::MarkNotFound);
}

#[test]
fn ten_thousand_rounds_in_wal_mode() {
    rounds("wal", 10_000);
}

#[test]
fn ten_thousand_rounds_in_a_rollback_mode() {
    rounds("delete", 10_000);
}
