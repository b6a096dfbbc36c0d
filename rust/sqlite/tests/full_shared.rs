//! A full store in which several databases are recorded, or one that was moved: what is left to evictions stays theirs.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbrewind_core::{Head, Key, Kind, Lsn, Need, Store, StoreOptions};
use dbrewind_sqlite::{
    Code, Database, Error, MarkState, OpenOptions, SqliteApi, Synchronous, Target, WindowState,
};
use rusqlite::Connection;

const LIMIT: u64 = 1 << 20;
const MODES: [&str; 2] = ["wal", "delete"];

struct Scene {
    dir: tempfile::TempDir,
    mode: &'static str,
}

impl Scene {
    fn new(mode: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), mode }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("history")
    }

    fn make(&self, name: &str) {
        let app = Connection::open(self.path(name)).unwrap();
        app.execute_batch(&format!("PRAGMA journal_mode={}; CREATE TABLE t(x)", self.mode)).unwrap();
    }

    fn open(&self, name: &str, limit: Option<u64>) -> Result<Database, Error> {
        let options = OpenOptions {
            store: Some(self.store()),
            limit,
            synchronous: Synchronous::Off,
            seal: false,
            ..OpenOptions::default()
        };
        Database::open(SqliteApi::bundled(), &self.path(name), &options)
    }

    fn write(&self, name: &str, text: &str) {
        let app = Connection::open(self.path(name)).unwrap();
        app.execute("INSERT INTO t VALUES(?1 || hex(zeroblob(20000)))", [text]).unwrap();
    }

    fn rows(&self, name: &str) -> Vec<String> {
        let app = Connection::open(self.path(name)).unwrap();
        let mut rows = app.prepare("SELECT substr(x, 1, 3) FROM t ORDER BY rowid").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Three moments, the first one pinned.
    fn three(&self, name: &str, database: &Database) {
        for (mark, pinned) in [("one", true), ("two", false), ("six", false)] {
            self.write(name, mark);
            if pinned { database.mark_pinned(mark) } else { database.mark(mark) }.unwrap();
        }
        database.drain().unwrap();
    }

    /// Of an object that nobody follows, to the last byte.
    fn fill_up(&self, need: Option<Need>) {
        let store = Store::open(&self.store(), &StoreOptions::default()).unwrap();
        let object = store.object("filler", 4096).unwrap();
        store.keep_window(Arc::new(|_: &str| true));
        let head = Head::new(Kind::Note, object, Key::new(99), Lsn::new(1));
        while store.append(head, &[&[7; 1000]]).is_ok() {}
        if let Some(need) = need {
            while store.append_in_need(need, head, &[&[7; 1000]]).is_ok() {}
            while store.append_in_need(need, head, &[]).is_ok() {}
        }
        while store.append(head, &[]).is_ok() {}
    }
}

fn lost(database: &Database) -> Vec<bool> {
    database.marks().unwrap().iter().map(|mark| mark.state == MarkState::Lost).collect()
}

fn used(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let segments = files.filter(|file| file.file_name().to_string_lossy().ends_with(".seg"));
    segments.map(|file| file.metadata().unwrap().len()).sum()
}

/// Its new name is the first thing that is said of it.
#[test]
fn hazard_a_database_whose_store_is_full_was_moved() {
    for (mode, need) in MODES.into_iter().flat_map(|mode| [(mode, None), (mode, Some(Need::Keep))]) {
        let scene = Scene::new(mode);
        scene.make("app.db");
        let database = scene.open("app.db", Some(LIMIT)).unwrap();
        scene.three("app.db", &database);
        database.close().unwrap();
        scene.fill_up(need);
        std::fs::rename(scene.path("app.db"), scene.path("new.db")).unwrap();
        for _ in 0..3 {
            let database = scene.open("new.db", None).unwrap();
            assert_eq!(database.marks().unwrap().len(), 3, "{mode}");
            assert!(
                used(&scene.store()) < LIMIT - LIMIT / 32,
                "{mode}: evictions keep half of what is theirs"
            );
            let _ = database.close();
            // By others, who use up each segment.
            scene.fill_up(None);
        }
        let database = scene.open("new.db", None).unwrap();
        let kept = lost(&database);
        database.drop_mark("one").unwrap();
        assert_eq!(lost(&database), kept[1..], "{mode}");
        let _ = database.close();
    }
}

/// What one of them takes in need leaves enough for the other one to be cured, and neither is touched by what befalls the other.
#[test]
fn a_full_store_of_two_databases_is_opened_by_both_and_cured_when_both_let_go() {
    for (mode, need) in MODES.into_iter().flat_map(|mode| [(mode, None), (mode, Some(Need::Keep))]) {
        let what = format!("{mode}, {need:?}");
        let scene = Scene::new(mode);
        let names = ["a.db", "b.db"];
        for name in names {
            scene.make(name);
            let database = scene.open(name, Some(LIMIT)).unwrap();
            scene.three(name, &database);
            database.close().unwrap();
        }
        scene.fill_up(need);
        for _ in 0..2 {
            let [a, b] = names.map(|name| scene.open(name, None).unwrap());
            for database in [&a, &b] {
                assert!(!lost(database).contains(&true), "{what}");
            }
            // Not even a mark has room then, and says so; what is there stays.
            for database in [&a, &b] {
                if let Err(error) = database.mark("more") {
                    assert_eq!(error.code(), Code::StoreFull, "{what}: {error}");
                } else {
                    database.drop_mark("more").unwrap();
                }
            }
            for database in [b, a] {
                // What it would say last may have no room; nothing is lost of what is there.
                let _ = database.close();
            }
            assert!(used(&scene.store()) <= LIMIT, "{what}");
        }
        let [a, b] = names.map(|name| scene.open(name, None).unwrap());
        b.drop_mark("one").unwrap();
        a.drop_mark("one").unwrap();
        // What the other one's newest era has in it goes when that one begins another: at its next mark, or within a moment in WAL mode.
        let started = std::time::Instant::now();
        for round in 0.. {
            for database in [&a, &b] {
                assert!(!lost(database).contains(&true), "{what}");
                if let Err(error) = database.mark(&format!("round {round}")) {
                    assert_eq!(error.code(), Code::StoreFull, "{what}: {error}");
                }
            }
            let states = [&a, &b].map(|database| database.status().unwrap().state);
            if !states.contains(&WindowState::Full) {
                break;
            }
            assert!(started.elapsed() < std::time::Duration::from_secs(20), "{what}: {states:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        for (name, database) in names.iter().zip([&a, &b]) {
            database.mark("more").unwrap();
            scene.write(name, "new");
            database.rewind(&Target::from("more"), None).unwrap();
            assert_eq!(scene.rows(name), ["one", "two", "six"], "{what}");
        }
        assert!(used(&scene.store()) <= LIMIT, "{what}");
        for database in [a, b] {
            database.close().unwrap();
        }
    }
}

/// One has no room to begin; the other one has, and goes on.
#[test]
fn hazard_a_database_is_begun_in_the_full_store_of_another_one() {
    for (mode, need) in MODES.into_iter().flat_map(|mode| [(mode, None), (mode, Some(Need::Keep))]) {
        let what = format!("{mode}, {need:?}");
        let scene = Scene::new(mode);
        scene.make("a.db");
        scene.make("b.db");
        let a = scene.open("a.db", Some(LIMIT)).unwrap();
        scene.three("a.db", &a);
        scene.fill_up(need);
        let before = std::fs::read(scene.path("b.db")).unwrap();
        for _ in 0..3 {
            // Its first era is no cure.
            match scene.open("b.db", None) {
                Ok(b) => {
                    let refused = b.mark("x").unwrap_err();
                    assert_eq!(refused.code(), Code::StoreFull, "{what}: {refused}");
                    let _ = b.close();
                }
                Err(error) => assert_eq!(error.code(), Code::StoreFull, "{what}: {error}"),
            }
            assert_eq!(std::fs::read(scene.path("b.db")).unwrap(), before, "{what}");
            assert!(!lost(&a).contains(&true), "{what}");
            scene.fill_up(None);
        }
        a.drop_mark("one").unwrap();
        assert!(!lost(&a).contains(&true), "{what}");
        scene.write("b.db", "own");
        let b = scene.open("b.db", Some(4 * LIMIT)).unwrap();
        b.mark("x").unwrap();
        scene.write("b.db", "new");
        b.rewind(&Target::from("x"), None).unwrap();
        assert_eq!(scene.rows("b.db"), ["own"], "{what}");
        a.mark("now").unwrap();
        scene.write("a.db", "new");
        a.rewind(&Target::from("now"), None).unwrap();
        assert_eq!(scene.rows("a.db"), ["one", "two", "six"], "{what}");
        b.close().unwrap();
        a.close().unwrap();
    }
}
