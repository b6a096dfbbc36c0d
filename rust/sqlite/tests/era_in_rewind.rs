//! An era that a rewind begins in WAL mode, above frames that nobody has brought into the database file: every moment stays what it was,
//! those of the era before it, too.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "functions of a test")]

mod support;

use std::path::Path;

use dbrewind_core::{Cursor, Kind, Lsn, Store, StoreOptions};
use dbrewind_sqlite::{Database, MarkState, Method, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;

fn record(path: &Path, limit: u64) -> Database {
    let options = OpenOptions {
        synchronous: Synchronous::Off,
        limit: Some(limit),
        seal: false,
        ..OpenOptions::default()
    };
    Database::open(SqliteApi::bundled(), path, &options).unwrap()
}

fn made(path: &Path, rows: i64) -> Connection {
    let app = Connection::open(path).unwrap();
    app.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    app.execute_batch(
        "PRAGMA auto_vacuum=incremental; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0;
         CREATE TABLE t(id INTEGER PRIMARY KEY, x); BEGIN",
    )
    .unwrap();
    for id in 0..rows {
        app.execute("INSERT INTO t VALUES(?1, randomblob(3000))", [id]).unwrap();
    }
    // Everything in the database file: what the first frames replace is recorded nowhere.
    app.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    app
}

/// How many eras began, and how many of them with a base in the same piece of the log: above frames.
fn eras(store: &Path) -> (usize, usize) {
    let store = Store::open(store, &StoreOptions::default()).unwrap();
    let (mut eras, mut above, mut last) = (0, 0, None);
    let mut visit = |head: dbrewind_core::Head, _, _| {
        eras += usize::from(head.kind == Kind::Era);
        above += usize::from(head.kind == Kind::Base && last == Some(head.lsn));
        last = (head.kind == Kind::Era).then_some(head.lsn);
    };
    store.scan(&mut Cursor::default(), &mut visit).unwrap();
    (eras, above)
}

/// What a round does to the database: it grows and shrinks, and pages come back that were cut off.
fn change(app: &Connection, round: i64) {
    let rows = 60 + (round * 37) % 50;
    app.execute("UPDATE t SET x = randomblob(2900 + ?1 % 90) WHERE id % 2 = ?1 % 2", [round]).unwrap();
    match round % 5 {
        1 => app.execute("DELETE FROM t WHERE id >= ?1", [rows / 2]).unwrap(),
        3 => app
            .execute("INSERT OR IGNORE INTO t SELECT id + 40, randomblob(3000) FROM t WHERE id < ?1", [rows])
            .unwrap(),
        _ => 0,
    };
    if round % 5 == 2 {
        app.execute_batch("PRAGMA incremental_vacuum(25)").unwrap();
    }
}

#[test]
fn hazard_moments_on_both_sides_of_an_era_that_a_rewind_began() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let app = made(&path, 90);
    let db = record(&path, 192 << 20);
    db.mark("0").unwrap();
    let mut known: Vec<(Lsn, [u8; 16])> = vec![(db.now().unwrap(), db.digest().unwrap())];
    for round in 0..330 {
        change(&app, round);
        known.push((db.now().unwrap(), db.digest().unwrap()));
        if round % 40 == 20 {
            // From here on, for a while: what is below it is not in the database file yet.
            db.mark(&round.to_string()).unwrap();
        }
        let newest = round / 40 * 40 - 20;
        let name = if round % 7 == 0 || newest < 0 { "0".to_owned() } else { newest.to_string() };
        db.rewind(&Target::Name(name), None).unwrap();
        known.push((db.now().unwrap(), db.digest().unwrap()));
    }
    let (eras, above) = eras(&dir.path().join("app.db-rewind"));
    assert!(eras > 4 && above > 2, "{eras} eras, {above} above frames");
    for (lsn, digest) in known.iter().step_by(37) {
        db.rewind(&Target::Lsn(*lsn), None).unwrap();
        assert_eq!(db.digest().unwrap(), *digest, "{lsn:?}");
    }
    let ok: String = app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok");
    // And for those who come later.
    drop(app);
    db.close().unwrap();
    let db = record(&path, 1 << 30);
    assert!(db.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost));
    for (lsn, digest) in known.iter().rev().step_by(7).chain(known.iter().step_by(19)) {
        db.rewind(&Target::Lsn(*lsn), None).unwrap();
        assert_eq!(db.digest().unwrap(), *digest, "{lsn:?}");
    }
}

/// The loop of a test session without any pause, in a store that holds few rounds: whoever rewinds makes the room for it.
#[test]
fn hazard_a_loop_without_a_pause_in_a_small_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let app = made(&path, 100);
    let db = record(&path, 8 << 20);
    db.mark("base").unwrap();
    let expected = db.digest().unwrap();
    let mut written = 0;
    for round in 0..250_i64 {
        app.execute("UPDATE t SET x = randomblob(2900 + ?1 % 90)", [round]).unwrap();
        let done = db.rewind(&Target::from("base"), None);
        let done = done.unwrap_or_else(|error| panic!("round {round}: {error}"));
        written += usize::from(done.method == Method::Written);
        if round % 50 == 0 {
            assert_eq!(db.digest().unwrap(), expected, "round {round}");
        }
    }
    assert_eq!(db.digest().unwrap(), expected);
    assert!(eras(&dir.path().join("app.db-rewind")).0 > 1);
    assert!(written < 25, "{written} of 250 rounds were written");
}
