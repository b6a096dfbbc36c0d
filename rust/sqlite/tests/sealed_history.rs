//! Moments whose images are in sealed segments of the store are gone to exactly as all others.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::path::Path;

use dbrewind_core::{Store, StoreOptions};
use dbrewind_sqlite::{Database, MarkState, OpenOptions, Target};
use rusqlite::{Connection, params};
use support::World;
use support::wal::{WalWorld, unsynced};

const ROUNDS: u64 = 9;
const ROWS: i64 = 500;

/// Changes a little of every row, each of which has a page of its own.
fn change(app: &Connection, round: u64) {
    app.execute_batch("begin").unwrap();
    for id in 0..ROWS {
        let body = format!("{:>2900}{round:>40}{:>60}", id * 7919, id as u64 * round);
        app.execute("replace into pages values (?1, ?2)", params![id, body]).unwrap();
    }
    app.execute_batch("commit").unwrap();
}

fn sealed(store: &Path) -> usize {
    let names = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().ends_with(".zst")).count()
}

/// Marks rounds, seals, and goes to the marks, back and forth; `open` records the database, `connect` is the program.
fn go(path: &Path, open: &dyn Fn() -> Database, connect: &dyn Fn() -> Connection) {
    let store = path.with_file_name(format!("{}-rewind", path.file_name().unwrap().to_str().unwrap()));
    let database = open();
    let app = &connect();
    app.execute_batch("create table pages(id integer primary key, body text)").unwrap();
    let mut digests = Vec::new();
    for round in 0..ROUNDS {
        change(app, round);
        database.mark(&format!("round {round}")).unwrap();
        digests.push(database.digest().unwrap());
    }
    database.drain().unwrap();
    // As another process would; the recording's own thread may be at it, too.
    let sealer = Store::open(&store, &StoreOptions::default()).unwrap();
    let started = std::time::Instant::now();
    while sealer.seal_some().unwrap().is_some() || sealed(&store) < 2 {
        assert!(started.elapsed().as_secs() < 60, "{} sealed", sealed(&store));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let all_good = |database: &Database| {
        for round in [3, 0, 7, 1, 1, 8, 2, 5] {
            database.rewind(&Target::Name(format!("round {round}")), None).unwrap();
            assert_eq!(database.digest().unwrap(), digests[round], "round {round}");
            let check: String = app.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(check, "ok");
        }
    };
    all_good(&database);
    // What the rewinds recorded is sealed as well; then by one who has never seen a raw segment.
    while sealer.seal_some().unwrap().is_some() {}
    database.close().unwrap();
    drop(database);
    let database = open();
    assert!(database.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost));
    all_good(&database);
    change(app, ROUNDS);
    database.rewind(&Target::Name("round 4".into()), None).unwrap();
    assert_eq!(database.digest().unwrap(), digests[4]);
}

#[test]
fn in_wal_mode() {
    // Every mark is archived: its pages are in the store, not in the WAL.
    let scene = WalWorld::with(OpenOptions { wal_limit: 0, seal: true, ..unsynced() });
    go(&scene.path(), &|| scene.record(), &|| scene.connect());
}

#[test]
fn in_a_rollback_mode() {
    let world = World::new("delete", 4096);
    let record = || {
        let options = OpenOptions { seal: true, ..world.options() };
        Database::open(dbrewind_sqlite::SqliteApi::bundled(), &world.path(), &options).unwrap()
    };
    go(&world.path(), &record, &|| world.connect());
}
