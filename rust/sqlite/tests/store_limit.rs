//! A store at its limit: recording stops, the marks say so, the error tells what to type, and typing it helps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "functions of a test")]

use std::path::{Path, PathBuf};

use dbrewind_sqlite::{Code, Database, MarkState, OpenOptions, SqliteApi, Synchronous, Target, WindowState};
use rusqlite::Connection;

const LIMIT: u64 = 1 << 20;
const MODES: [&str; 2] = ["wal", "delete"];

fn database(dir: &Path, mode: &str) -> PathBuf {
    let path = dir.join("app.db");
    let app = Connection::open(&path).unwrap();
    app.execute_batch(&format!(
        "PRAGMA journal_mode={mode}; CREATE TABLE t(x); INSERT INTO t VALUES('first')"
    ))
    .unwrap();
    path
}

fn record(path: &Path, limit: Option<u64>) -> Database {
    let options = OpenOptions { limit, synchronous: Synchronous::Off, ..OpenOptions::default() };
    Database::open(SqliteApi::bundled(), path, &options).unwrap()
}

fn name(name: &str) -> Target {
    Target::Name(name.to_owned())
}

fn states(database: &Database) -> Vec<MarkState> {
    database.marks().unwrap().iter().map(|mark| mark.state).collect()
}

/// Records until the store is full, which it must be with less than these bytes of changes.
fn outgrow(database: &Database, path: &Path, bytes: usize) {
    let app = Connection::open(path).unwrap();
    for round in 0..bytes / 100_000 {
        // In the rollback modes a page is recorded once after each mark.
        // Pinned: else the oldest would go.
        let _ = database.mark_pinned(&format!("round {round}"));
        app.execute("UPDATE t SET x = randomblob(100000)", []).unwrap();
        if database.drain().is_err() {
            return;
        }
    }
    panic!("{bytes} bytes of changes, and the store is not full");
}

#[test]
fn marks_of_a_recording_that_has_stopped_are_lost_and_say_so() {
    for mode in MODES {
        let dir = tempfile::tempdir().unwrap();
        let path = database(dir.path(), mode);
        let database = record(&path, Some(LIMIT));
        database.mark_pinned("start").unwrap();
        assert!(!states(&database).contains(&MarkState::Lost), "{mode}");
        outgrow(&database, &path, 4 << 20);
        let lost = states(&database);
        assert!(!lost.is_empty() && lost.iter().all(|state| *state == MarkState::Lost), "{mode}: {lost:?}");
        assert_eq!(database.rewind(&name("start"), None).unwrap_err().code(), Code::StoreFull, "{mode}");
        // What it said is what comes.
        // It has said why it stopped.
        database.close().unwrap();
        let database = record(&path, Some(64 << 20));
        assert_eq!(states(&database), lost, "{mode}");
        assert_eq!(database.rewind(&name("start"), None).unwrap_err().code(), Code::MarkLost, "{mode}");
        database.mark("anew").unwrap();
        assert_ne!(states(&database).last(), Some(&MarkState::Lost), "{mode}");
    }
}

/// That recording has stopped is told once: by whatever call is next, or else by `close`.
#[test]
fn a_stop_that_no_call_has_told_of_is_told_by_close() {
    let dir = tempfile::tempdir().unwrap();
    let path = database(dir.path(), "wal");
    let database = record(&path, Some(LIMIT));
    database.mark_pinned("start").unwrap();
    let app = Connection::open(&path).unwrap();
    while database.status().unwrap().state != WindowState::Stopped {
        app.execute("UPDATE t SET x = randomblob(100000)", []).unwrap();
    }
    assert_eq!(database.close().unwrap_err().code(), Code::StoreFull);
    database.close().unwrap();
    // Its locks are gone.
    let gone: i64 = app.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(gone, 0);
}

#[test]
fn the_error_names_a_limit_that_helps() {
    for mode in MODES {
        let dir = tempfile::tempdir().unwrap();
        let path = database(dir.path(), mode);
        let database = record(&path, Some(LIMIT));
        outgrow(&database, &path, 4 << 20);
        for text in
            [database.drain().unwrap_err().to_string(), database.mark("more").unwrap_err().to_string()]
        {
            assert!(
                text.contains("app.db-rewind") && text.contains("its limit is 1048576"),
                "{mode}: {text}"
            );
            assert!(text.contains("limit=2097152"), "{mode}: {text}");
        }
        // It has said why it stopped.
        database.close().unwrap();
        let database = record(&path, Some(2_097_152));
        database.mark("anew").unwrap();
        let app = Connection::open(&path).unwrap();
        app.execute("UPDATE t SET x = randomblob(100000)", []).unwrap();
        database.drain().unwrap();
        database.rewind(&name("anew"), None).unwrap();
    }
}

/// Twice the limit need not help then.
#[test]
fn a_store_that_nothing_pinned_has_filled_says_what_may_have() {
    for mode in MODES {
        let dir = tempfile::tempdir().unwrap();
        let path = database(dir.path(), mode);
        let database = record(&path, Some(LIMIT));
        database.mark("start").unwrap();
        let app = Connection::open(&path).unwrap();
        app.execute_batch("BEGIN; UPDATE t SET x = randomblob(4000000); COMMIT").unwrap();
        let _ = database.mark("between");
        app.execute_batch("BEGIN; UPDATE t SET x = randomblob(4000000); COMMIT").unwrap();
        let error = database.drain().and_then(|()| database.mark("more")).unwrap_err();
        assert_eq!(error.code(), Code::StoreFull, "{mode}");
        let text = error.to_string();
        assert!(text.contains("No mark is pinned: more was committed at once"), "{mode}: {text}");
        assert!(text.contains("a higher limit, such as limit=1073741824"), "{mode}: {text}");
        database.close().unwrap();
    }
}

#[test]
fn the_limit_is_the_stores_and_the_last_one_given_holds_for_all() {
    for mode in MODES {
        let dir = tempfile::tempdir().unwrap();
        let path = database(dir.path(), mode);
        let first = record(&path, Some(LIMIT));
        let second = record(&path, Some(16 << 20));
        let third = record(&path, None);
        let app = Connection::open(&path).unwrap();
        for round in 0..40 {
            first.mark(&format!("round {round}")).unwrap();
            app.execute("UPDATE t SET x = randomblob(100000)", []).unwrap();
            first.drain().unwrap();
        }
        for database in [first, second, third] {
            database.close().unwrap();
        }
        // A later one that gives none keeps it.
        let database = record(&path, None);
        outgrow(&database, &path, 40 << 20);
        let text = database.drain().unwrap_err().to_string();
        assert!(text.contains("its limit is 16777216"), "{mode}: {text}");
    }
}

#[test]
fn a_limit_in_another_unit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = database(dir.path(), "wal");
    let options = OpenOptions { limit: Some(16), ..OpenOptions::default() };
    let error = Database::open(SqliteApi::bundled(), &path, &options).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.to_string().contains("1048576 (1 MiB) or more, not 16"), "{error}");
    assert!(!dir.path().join("app.db-rewind").exists());
}
