//! `ROLLBACK` in `journal_mode=OFF`: nothing is taken back that had been written, and what is there then is a moment of its own.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "functions of a test")]

mod support;

use dbrewind_sqlite::{Database, Target};
use rusqlite::Connection;
use support::World;

/// 200 rows in a small cache: a transaction that changes all of them writes to the file before it ends.
fn scene(mode: &str) -> (World, Database, Connection) {
    let world = World::new(mode, 512);
    let db = world.record();
    let app = world.connect();
    app.execute_batch("pragma cache_size = 5").unwrap();
    world.fill(&app, 0..200);
    (world, db, app)
}

fn torn(app: &Connection, to: &str) {
    app.execute_batch(&format!("begin; update t set v = '{to}' || v where id < 150; rollback")).unwrap();
}

fn some(app: &Connection) -> Vec<String> {
    let mut rows = app.prepare("select coalesce(v, '') from t not indexed where id < 400").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map_while(Result::ok).collect()
}

/// Some pages were saved since the mark before, others not: what the torn transaction overwrote of the first is nowhere.
#[test]
fn hazard_a_mark_after_a_rollback_without_a_journal() {
    let (world, db, app) = scene("off");
    db.mark("filled").unwrap();
    let filled = db.digest().unwrap();
    app.execute_batch("update t set v = 'b' || v where id < 50").unwrap();
    let before = (db.now().unwrap(), db.digest().unwrap());
    torn(&app, "torn");
    let left = db.digest().unwrap();
    assert_ne!(left, before.1, "the transaction had written");
    assert!(db.now().unwrap() > before.0 && db.dirty_since(&Target::Name("filled".into())).unwrap());
    let mark = db.mark("torn").unwrap();
    assert!(mark.lsn > before.0, "not the moment before it");
    let rows = some(&app);
    let _ = app.execute_batch("update t set v = 'c' || v");
    torn(&app, "once more ");
    db.mark("again").unwrap();
    let again = db.digest().unwrap();
    for (name, digest) in [("torn", left), ("filled", filled), ("again", again), ("torn", left)] {
        db.rewind(&Target::from(name), None).unwrap();
        assert_eq!(db.digest().unwrap(), digest, "{name}");
    }
    assert_eq!(some(&app), rows);
    db.rewind(&Target::from("filled"), None).unwrap();
    world.check(&app);
}

/// The pragma names no schema: it is for the attached file, too. SQLite takes any beginning of the word.
#[test]
fn an_attached_file_and_a_short_spelling() {
    for pragma in ["journal_mode = off", "journal_mode = 'o'", "journal_mode = OF", "two.journal_mode = oFf"]
    {
        let (world, db, _) = scene("delete");
        let main = Connection::open_with_flags_and_vfs(
            world.dir.path().join("main.db"),
            rusqlite::OpenFlags::default(),
            "dbrewind",
        )
        .unwrap();
        main.execute("attach ?1 as two", [world.path().to_str().unwrap()]).unwrap();
        let _: String = main.query_row(&format!("pragma {pragma}"), [], |row| row.get(0)).unwrap();
        main.execute_batch("pragma two.cache_size = 5").unwrap();
        db.mark("filled").unwrap();
        main.execute_batch("update two.t set v = 'b' || v where id < 50").unwrap();
        let before = (db.now().unwrap(), db.digest().unwrap());
        main.execute_batch("begin; update two.t set v = 'torn' || v where id < 150; rollback").unwrap();
        let left = db.digest().unwrap();
        assert_ne!(left, before.1, "{pragma}");
        let mark = db.mark("torn").unwrap();
        assert!(mark.lsn > before.0, "{pragma}");
        let _ = main.execute_batch("update two.t set v = 'c'");
        db.rewind(&Target::from("torn"), None).unwrap();
        assert_eq!(db.digest().unwrap(), left, "{pragma}");
    }
}

/// Whoever has a journal gets back what was there, and nothing has happened.
#[test]
fn a_rollback_with_a_journal_is_no_moment() {
    for mode in ["delete", "truncate", "persist", "memory"] {
        let (_world, db, app) = scene(mode);
        db.mark("filled").unwrap();
        let before = (db.now().unwrap(), db.digest().unwrap());
        torn(&app, "undone");
        assert_eq!((db.now().unwrap(), db.digest().unwrap()), before, "{mode}");
        assert!(!db.dirty_since(&Target::from("filled")).unwrap(), "{mode}");
    }
}
