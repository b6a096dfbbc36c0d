//! Waits in the keeper that the host ends: nothing has changed, and requests and responses stay in step.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_keeper::{KeeperClient, KeeperCommand, interruptible};
use dbrewind_sqlite::{Code, OpenOptions};
use rusqlite::Connection;

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

fn app(path: &Path) -> Connection {
    let app = Connection::open(path).unwrap();
    app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS t(x); INSERT INTO t VALUES (1)")
        .unwrap();
    app
}

fn open(path: &Path) -> KeeperClient {
    let command = KeeperCommand::new(env!("CARGO_BIN_EXE_dbrewind-keeper"));
    KeeperClient::open(&command, path, &OpenOptions::default()).unwrap()
}

fn rows(app: &Connection) -> i64 {
    app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn an_interrupted_rewind_never_happens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let app = app(&path);
    let db = open(&path);
    db.mark("one").unwrap();
    for _ in 0..3 {
        app.execute_batch("INSERT INTO t VALUES (2); BEGIN IMMEDIATE").unwrap();
        let started = Instant::now();
        let error = interruptible(|| true, || db.rewind(&"one".into(), HOUR)).unwrap_err();
        assert_eq!(error.code(), Code::Interrupted, "{error}");
        assert!(started.elapsed() < Duration::from_secs(600));
        app.execute_batch("COMMIT").unwrap();
        // The keeper waits for nothing any more: the next question has its own answer, and the row stays.
        let names: Vec<_> = db.marks().unwrap().into_iter().map(|mark| mark.name).collect();
        assert_eq!(names, ["one"]);
        assert_eq!(rows(&app), 2);
        db.rewind(&"one".into(), None).unwrap();
        assert_eq!(rows(&app), 1);
    }
    db.close().unwrap();
}

/// A wait that was not interrupted goes on until its lock is there, however often it is asked.
#[test]
fn asking_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let app = app(&path);
    let db = open(&path);
    db.mark("one").unwrap();
    app.execute_batch("INSERT INTO t VALUES (2); BEGIN IMMEDIATE").unwrap();
    let asked = std::cell::Cell::new(0);
    let end = move || {
        asked.set(asked.get() + 1);
        if asked.get() == 3 {
            app.execute_batch("COMMIT").unwrap();
        }
        false
    };
    interruptible(end, || db.rewind(&"one".into(), HOUR)).unwrap();
    assert_eq!(rows(&Connection::open(&path).unwrap()), 1);
}
