//! Another database, recorded into the store of one that rests. It takes room, so that the beginning of the log is evicted, and marks of the
//! one that rests are carried forward, while nothing happens to that one itself.

use std::time::Duration;

use dbrewind_sqlite::{Database, WindowState, store_beside};

use super::child::Life;
use crate::peer::Peer;
use crate::protocol::{Recording, Request};
use crate::recording::attach;
use crate::seed::Rng;

/// Commits of a neighbour at most: more than a store of a few MiB holds.
const MOST: u64 = 80;

/// Records and writes until something was evicted, and a little longer; then it is gone. That there is no room for it is no fault.
pub(super) fn works(life: &Life, rng: &mut Rng) {
    let path = life.path.with_file_name("neighbour.db");
    let store = store_beside(&life.path);
    let mut app = Peer::thread("neighbour");
    app.open(&path, 20_000);
    app.must(&format!("pragma journal_mode={}; create table t(v)", life.journal));
    app.ask(Request::Close).ok();
    let recording = Recording {
        wal: life.journal == "wal",
        wal_limit: life.wal_limit,
        synchronous: life.synchronous,
        segments: life.segments,
        limit: life.limit,
        store: Some(store.display().to_string()),
        ..Recording::default()
    };
    if let Ok(database) = attach(&path, &recording) {
        app.open(&path, 20_000);
        app.must(&format!("pragma journal_mode={}; pragma synchronous={}", life.journal, life.application));
        let begins = || std::fs::read(store.join("window")).ok();
        let before = begins();
        let mut left = MOST;
        while left > 0 {
            write(&mut app, rng, &database);
            if begins() != before {
                left = left.min(rng.below(8));
            }
            left = left.saturating_sub(1);
            // There is nothing to evict but what the one that rests needs.
            let full = |status: dbrewind_sqlite::Status| {
                status.state != WindowState::Ok && status.state != WindowState::Alert
            };
            if database.status().is_ok_and(full) {
                break;
            }
        }
        app.ask(Request::Close).ok();
        let _full = database.close();
    }
    // Then its history keeps none of the other from being evicted, nor any room.
    for name in ["neighbour.db", "neighbour.db-wal", "neighbour.db-shm", "neighbour.db-journal"] {
        let _none = std::fs::remove_file(life.path.with_file_name(name));
    }
}

fn write(app: &mut Peer, rng: &mut Rng, database: &Database) {
    app.must(&format!("insert into t values(randomblob({}))", 10_000 + rng.below(60_000)));
    if rng.chance(10) {
        let _full = database.mark("neighbour");
    }
    // Eras begin in the background.
    std::thread::sleep(Duration::from_millis(3));
}
