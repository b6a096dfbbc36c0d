//! A full store: it can be looked at, and cured by dropping a pin, or begun anew; what was recorded stays what it was.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test panics")]

mod support;

use std::path::PathBuf;

use dbrewind_core::Need;
use dbrewind_sqlite::{Code, Database, OpenOptions, SqliteApi, Synchronous, Target, WindowState};
use rusqlite::Connection;
use support::full::{LIMIT, MODES, Scene, is_gone, is_lost, states};

/// Writes more than the store takes.
fn outgrow(scene: &Scene, database: &Database) {
    for round in 0..60 {
        let _ = database.mark_pinned(&format!("round {round}"));
        scene.connect().execute("UPDATE t SET x = 'out' || hex(randomblob(20000))", []).unwrap();
        if database.drain().is_err() {
            return;
        }
    }
    panic!("the store is not full");
}

#[test]
fn a_pin_dropped_while_the_store_is_open_makes_room() {
    for mode in MODES {
        let scene = Scene::new(mode);
        let database = scene.with_three();
        scene.fill_up(None);
        assert_eq!(database.status().unwrap().state, WindowState::Full, "{mode}");
        assert!(!states(&database).iter().any(is_lost), "{mode}");
        database.drop_mark("one").unwrap();
        assert!(scene.used() <= LIMIT);
        database.mark("more").unwrap();
        scene.write("new");
        scene.check(&database, "more", &["one", "two", "six"]);
        assert_ne!(database.status().unwrap().state, WindowState::Full, "{mode}");
        database.close().unwrap();
    }
}

/// It has stopped, and goes on when it is opened anew; that pins keep nothing that is lost makes room.
#[test]
fn a_recording_that_has_stopped_can_be_looked_at_and_begun_anew_with_the_same_limit() {
    for (mode, closed) in MODES.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let scene = Scene::new(mode);
        let database = scene.with_three();
        outgrow(&scene, &database);
        let all = states(&database);
        assert!(all.len() > 3 && all.iter().all(is_lost), "{mode}");
        assert_eq!(database.status().unwrap().state, WindowState::Stopped, "{mode}");
        if !closed {
            let pinned: Vec<_> = database.status().unwrap().pins;
            assert!(!pinned.is_empty(), "{mode}");
            for pin in &pinned {
                database.drop_mark(pin.name.as_str()).unwrap();
            }
            assert!(database.status().unwrap().pins.is_empty(), "{mode}");
            assert!(states(&database).iter().all(is_gone), "{mode}");
        }
        database.close().unwrap();
        let database = scene.open(None).unwrap();
        assert!(states(&database).iter().all(is_gone), "{mode}");
        let before = scene.rows();
        database.mark("anew").unwrap();
        scene.write("new");
        database.rewind(&Target::from("anew"), None).unwrap();
        assert_eq!(scene.rows(), before, "{mode}");
        assert!(scene.used() <= LIMIT, "{mode}");
        assert_eq!(database.status().unwrap().pins, [], "{mode}");
        database.close().unwrap();
    }
}

/// What a history may take in need is enough to go on, or is not.
#[test]
fn a_full_store_is_opened_and_a_pin_dropped_makes_room() {
    for (mode, need) in MODES.into_iter().flat_map(|mode| [(mode, None), (mode, Some(Need::Keep))]) {
        let what = format!("{mode}, {need:?}");
        let scene = Scene::new(mode);
        let database = scene.with_three();
        database.close().unwrap();
        scene.fill_up(need);
        let content = std::fs::read(scene.path()).unwrap();
        for _ in 0..3 {
            let database = scene.open(None).unwrap();
            assert_eq!(database.status().unwrap().state, WindowState::Full, "{what}");
            assert_eq!(database.marks().unwrap().len(), 3, "{what}");
            assert!(!states(&database).iter().any(is_lost), "{what}");
            database.close().unwrap();
            // By somebody who knows nothing of it, and closes the database last.
            assert_eq!(scene.rows(), ["one", "two", "six"], "{what}");
        }
        let same = std::fs::read(scene.path()).unwrap() == content;
        assert!(same || need.is_none(), "{what}: a look has written what it did not record");
        let database = scene.open(None).unwrap();
        let more = database.mark("more").map_err(|error| error.code());
        assert!(need.is_none() || more.unwrap_err() == Code::StoreFull, "{what}");
        database.drop_mark("one").unwrap();
        assert!(!states(&database).iter().any(is_lost), "{what}");
        database.close().unwrap();
    }
}

/// It has said so: no recording that is none ends as if nothing had been.
#[test]
fn hazard_nothing_was_recorded_for_want_of_room_and_nobody_has_said_so() {
    let scene = Scene::new("wal");
    let database = scene.with_three();
    database.close().unwrap();
    scene.fill_up(Some(Need::Keep));
    let database = scene.open(None).unwrap();
    let text = database.now().unwrap_err().to_string();
    assert!(text.contains("; drop pinned marks") && text.contains("limit=2097152"), "{text}");
    database.close().unwrap();
    let database = scene.open(None).unwrap();
    scene.write("new");
    let error = database.close().unwrap_err();
    assert_eq!(error.code(), Code::StoreFull);
    let text = error.to_string();
    assert!(text.contains("have to be recorded first") && text.contains("limit=2097152"), "{text}");
    let database = scene.open(None).unwrap();
    assert_eq!(database.now().unwrap_err().code(), Code::StoreFull);
    database.close().unwrap();
}

/// What is in the WAL alone is recorded when there is room.
#[test]
fn hazard_a_look_at_a_full_store_gives_up_what_is_in_the_wal() {
    let scene = Scene::new("wal");
    let database = scene.with_three();
    let app = scene.connect();
    app.execute_batch("PRAGMA wal_autocheckpoint=0; SELECT count(*) FROM t").unwrap();
    database.close().unwrap();
    scene.fill_up(None);
    scene.write("new");
    let mut text = String::new();
    for _ in 0..2 {
        let database = scene.open(None).unwrap();
        assert!(!states(&database).iter().any(is_lost));
        assert_eq!(database.status().unwrap().state, WindowState::Full);
        let error = database.rewind(&Target::from("one"), None).unwrap_err();
        assert_eq!(error.code(), Code::StoreFull);
        text = error.to_string();
        database.close().unwrap();
    }
    // It says what helps, and nothing that does not.
    assert!(text.contains("are in the WAL and have to be recorded first"), "{text}");
    assert!(!text.contains("drop pinned marks"), "{text}");
    let limit = text.split("limit=").nth(1).unwrap().split(':').next().unwrap();
    let database = scene.open(Some(limit.parse().unwrap())).unwrap();
    scene.check(&database, "two", &["one", "two"]);
    scene.check(&database, "one", &["one"]);
    assert_eq!(scene.rows(), ["one", "two", "six", "new"]);
    drop(app);
}

/// Marks that cannot be reached any more are not offered.
#[test]
fn hazard_a_full_store_is_looked_at_after_an_unrecorded_write() {
    for need in [None, Some(Need::Keep)] {
        let scene = Scene::new("wal");
        let database = scene.with_three();
        database.close().unwrap();
        scene.fill_up(need);
        // Closed last: what it wrote is in the database file.
        scene.write("new");
        let database = scene.open(None).unwrap();
        assert!(states(&database).iter().all(is_lost), "{need:?}");
        let _ = database.close();
    }
}

/// What there was room for is recorded; what there was none for is recorded later.
#[test]
fn hazard_a_wal_that_others_began_is_recorded_in_part_for_want_of_room() {
    for held in [false, true] {
        let scene = Scene::new("wal");
        let database = scene.with_three();
        let app = scene.connect();
        if held {
            // Whoever has it open keeps the WAL that there is.
            app.execute_batch("SELECT count(*) FROM t").unwrap();
        }
        database.close().unwrap();
        scene.fill_up(None);
        // Nobody closes the database last.
        app.execute_batch("PRAGMA wal_autocheckpoint=0; SELECT count(*) FROM t").unwrap();
        for _ in 0..12 {
            scene.write("new");
        }
        for look in 1..3 {
            let database = scene.open(Some(LIMIT + (200 << 10))).unwrap();
            assert!(!states(&database).iter().any(is_gone), "{held}: look {look}");
            assert_eq!(database.status().unwrap().state, WindowState::Full, "{held}");
            database.close().unwrap();
        }
        let database = scene.open(Some(8 * LIMIT)).unwrap();
        assert!(!states(&database).iter().any(is_gone), "{held}: with room");
        scene.check(&database, "two", &["one", "two"]);
        scene.check(&database, "one", &["one"]);
        database.close().unwrap();
        drop(app);
    }
}

#[test]
#[ignore = "run by hazard_a_writer_died_and_the_store_is_full"]
fn child_dies_in_a_transaction() {
    let path = PathBuf::from(std::env::var_os("DBREWIND_TEST_DATABASE").unwrap());
    let store = Some(path.with_file_name("history"));
    let options = OpenOptions { store, synchronous: Synchronous::Off, seal: false, ..OpenOptions::default() };
    let _database = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
    let app = Connection::open(&path).unwrap();
    app.execute_batch("PRAGMA cache_size=2; BEGIN; UPDATE t SET x = 'bad' || hex(randomblob(20000))")
        .unwrap();
    std::process::abort();
}

/// What came of its change has to be said before anything else, also that a mark is dropped.
#[test]
fn hazard_a_writer_died_and_the_store_is_full() {
    let scene = Scene::new("delete");
    let database = scene.with_three();
    database.close().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", "--test-threads=1", "child_dies_in_a_transaction"]);
    let died = child.env("DBREWIND_TEST_DATABASE", scene.path()).output().unwrap();
    assert!(!died.status.success());
    assert!(scene.path().with_file_name("app.db-journal").exists(), "{died:?}");
    scene.fill_up(None);
    let database = scene.open(None).unwrap();
    assert!(!states(&database).iter().any(is_lost));
    database.drop_mark("one").unwrap();
    assert!(!states(&database).iter().any(is_lost));
    database.mark("more").unwrap();
    assert_eq!(scene.rows(), ["one", "two", "six"]);
    database.close().unwrap();
}

/// While it is open, too: nothing holds a checkpoint off.
#[test]
fn hazard_others_checkpoint_while_a_full_store_is_open() {
    let scene = Scene::new("wal");
    let database = scene.with_three();
    database.close().unwrap();
    scene.fill_up(Some(Need::Keep));
    let database = scene.open(None).unwrap();
    assert!(!states(&database).iter().any(is_lost));
    let app = scene.connect();
    app.execute("INSERT INTO t VALUES('new')", []).unwrap();
    app.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(states(&database).iter().all(is_lost));
    assert_eq!(database.now().unwrap_err().code(), Code::StoreFull);
    database.close().unwrap();
}

#[test]
fn hazard_a_wal_that_is_recorded_in_part_is_brought_into_the_file() {
    let scene = Scene::new("wal");
    let database = scene.with_three();
    database.close().unwrap();
    scene.fill_up(None);
    let app = scene.connect();
    app.execute_batch("PRAGMA wal_autocheckpoint=0; SELECT count(*) FROM t").unwrap();
    for _ in 0..12 {
        scene.write("new");
    }
    let database = scene.open(Some(LIMIT + (200 << 10))).unwrap();
    assert!(!states(&database).iter().any(is_gone));
    assert_eq!(database.close().unwrap_err().code(), Code::StoreFull);
    app.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
    let database = scene.open(Some(8 * LIMIT)).unwrap();
    assert!(states(&database).iter().all(is_gone));
    database.close().unwrap();
    drop(app);
}
