//! Several databases in one store: what befalls one must not stop, clear or hide anything of another.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dbrewind_core::{Code, Cursor, Kind, ObjectId, Store, StoreOptions};
use dbrewind_sqlite::{Database, MarkState, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;
use support::{child, restart};

fn connect(path: &Path) -> Connection {
    let app = Connection::open(path).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    app
}

/// Two databases, of which the first is in WAL mode and the second in this one.
fn databases(dir: &Path, second: &str) -> [PathBuf; 2] {
    let paths = [dir.join("a.db"), dir.join("b.db")];
    for (path, mode) in paths.iter().zip(["wal", second]) {
        let app = connect(path);
        app.execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x)")).unwrap();
    }
    paths
}

fn record(dir: &Path, path: &Path) -> Database {
    let options = OpenOptions {
        store: Some(dir.join("store")),
        synchronous: Synchronous::Off,
        journal: None,
        default_vfs: false,
        ..OpenOptions::default()
    };
    Database::open(SqliteApi::bundled(), path, &options).unwrap()
}

fn insert(app: &Connection, text: &str) {
    app.execute("INSERT INTO t VALUES(?1)", [text]).unwrap();
}

fn count(app: &Connection) -> i64 {
    app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

fn object(store: &Store, path: &Path) -> ObjectId {
    let mut found = None;
    let mut heads = Vec::new();
    store.scan(&mut Cursor::default(), &mut |head, at, _| heads.push((head, at))).unwrap();
    for (head, at) in heads {
        let name = path.file_name().unwrap().as_encoded_bytes();
        if head.kind == Kind::Object && store.read(at).unwrap().body.ends_with(name) {
            found = Some(head.object);
        }
    }
    found.unwrap()
}

/// The recording of one database stops: the other one's goes on, whoever is opened anew.
#[test]
fn a_broken_database_does_not_stop_its_neighbour() {
    for mode in ["wal", "delete"] {
        let dir = tempfile::tempdir().unwrap();
        let paths = databases(dir.path(), mode);
        let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
        for broken in [0, 1] {
            let [a, b] = paths.each_ref().map(|path| record(dir.path(), path));
            let handles = [a, b];
            let name = format!("of round {broken}");
            for database in &handles {
                database.mark(&name).unwrap();
            }
            store.set_broken(object(&store, &paths[broken]), Code::StoreFull);
            let other = 1 - broken;
            assert_eq!(handles[broken].mark("x").unwrap_err().code(), Code::StoreFull);
            let app = Connection::open_with_flags_and_vfs(
                &paths[other],
                rusqlite::OpenFlags::default(),
                if mode == "wal" || other == 0 { "unix" } else { "dbrewind" },
            )
            .unwrap();
            let before = count(&app);
            insert(&app, "x");
            handles[other].mark("still recorded").unwrap();
            handles[other].rewind(&Target::from(&*name), None).unwrap();
            assert_eq!(count(&app), before, "{mode}");
            handles[other].drop_mark("still recorded").unwrap();
            drop(app);
            // Opened anew, the other one's recording begins with nothing to clear.
            let [first, second] = handles;
            let (broken_one, fine) = if broken == 0 { (first, second) } else { (second, first) };
            fine.close().unwrap();
            let fine = record(dir.path(), &paths[other]);
            assert_ne!(fine.marks().unwrap()[0].state, MarkState::Lost);
            assert_eq!(broken_one.mark("y").unwrap_err().code(), Code::StoreFull, "cleared by another");
            let _ = broken_one.close();
            let again = record(dir.path(), &paths[broken]);
            assert!(again.marks().unwrap().iter().all(|mark| mark.state == MarkState::Lost));
            for database in [&fine, &again] {
                for mark in database.marks().unwrap() {
                    database.drop_mark(&mark.name).unwrap();
                }
            }
        }
    }
}

#[test]
#[ignore = "run by a_power_cut_is_told_to_every_database"]
fn child_commits_and_waits_for_the_kill() {
    let dir = child::path();
    let paths = [dir.join("a.db"), dir.join("b.db")];
    let recordings = paths.each_ref().map(|path| record(&dir, path));
    std::thread::sleep(Duration::from_millis(300));
    for (path, recording) in paths.iter().zip(&recordings) {
        insert(&connect(path), "recorded");
        recording.mark("before the cut").unwrap();
        recording.drain().unwrap();
    }
    child::wait_for_the_kill();
}

/// The first one to be recorded again must not hide the power cut from the second, now or in a later process.
#[test]
fn a_power_cut_is_told_to_every_database() {
    let dir = tempfile::tempdir().unwrap();
    let paths = databases(dir.path(), "wal");
    child::kill(child::start("child_commits_and_waits_for_the_kill", dir.path()));
    restart(&dir.path().join("store"));
    for path in &paths {
        // Frames that the store knows may be others' by now: not certain, hence lost.
        let recording = record(dir.path(), path);
        assert_eq!(recording.marks().unwrap()[0].state, MarkState::Lost, "{path:?}");
        recording.close().unwrap();
    }
}
