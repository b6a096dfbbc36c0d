//! How long a call may wait does not decide whether a recording finds room.
#![allow(clippy::unwrap_used, reason = "functions of a test")]

use std::time::Duration;

use dbrewind_sqlite::{Code, Database, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;

/// Rounds of a commit that the tail has not copied, in a store that is always full, and a rewind behind it.
fn rounds(timeout: Duration, open: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let app = Connection::open(&path).unwrap();
    app.execute_batch(
        "PRAGMA journal_mode=wal; PRAGMA synchronous=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, x)",
    )
    .unwrap();
    for id in 0..60 {
        app.execute("INSERT INTO t VALUES(?1, randomblob(3000))", [id]).unwrap();
    }
    let options = OpenOptions {
        synchronous: Synchronous::Off,
        limit: Some(4 << 20),
        seal: false,
        timeout: open,
        ..OpenOptions::default()
    };
    let db = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
    db.mark("base").unwrap();
    let base = db.digest().unwrap();
    let mut done = 0;
    for round in 0..300 {
        app.execute("UPDATE t SET x = randomblob(3000)", []).unwrap();
        match db.rewind(&Target::from("base"), Some(timeout)) {
            Ok(_) => {
                assert_eq!(db.digest().unwrap(), base, "round {round}");
                done += 1;
            }
            // Somebody had a lock just then: that is what a timeout is about.
            Err(error) => assert_eq!(error.code(), Code::Busy, "round {round}: {error}"),
        }
    }
    assert!(done > 0);
    db.close().unwrap();
}

#[test]
fn rewinds_that_may_not_wait_keep_the_recording() {
    rounds(Duration::ZERO, Duration::from_secs(20));
}

#[test]
fn a_recording_that_may_not_wait_is_kept() {
    rounds(Duration::ZERO, Duration::ZERO);
}
