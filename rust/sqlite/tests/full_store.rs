//! A full store: it can be looked at, and cured by dropping a pin, or begun anew; what was recorded stays what it was.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test panics")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbrewind_core::{Head, Key, Kind, Lsn, Need, Store, StoreOptions};
use dbrewind_sqlite::{
    Code, Database, Error, MarkState, Method, OpenOptions, SqliteApi, Synchronous, Target, WindowState,
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
        let scene = Self { dir: tempfile::tempdir().unwrap(), mode };
        scene.connect().execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x)")).unwrap();
        scene
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn open(&self, limit: Option<u64>) -> Result<Database, Error> {
        // Nothing is sealed: that would make room.
        let options =
            OpenOptions { limit, synchronous: Synchronous::Off, seal: false, ..OpenOptions::default() };
        Database::open(SqliteApi::bundled(), &self.path(), &options)
    }

    fn record(&self) -> Database {
        self.open(Some(LIMIT)).unwrap()
    }

    fn write(&self, text: &str) {
        let app = self.connect();
        app.execute("INSERT INTO t VALUES(?1 || hex(zeroblob(20000)))", [text]).unwrap();
    }

    fn rows(&self) -> Vec<String> {
        let app = self.connect();
        let mut rows = app.prepare("SELECT substr(x, 1, 3) FROM t ORDER BY rowid").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Three moments, the first one pinned.
    fn three(&self, database: &Database) {
        for (name, pinned) in [("one", true), ("two", false), ("six", false)] {
            self.write(name);
            if pinned { database.mark_pinned(name) } else { database.mark(name) }.unwrap();
        }
        database.drain().unwrap();
    }

    /// Everything is as it was at the mark, and can be undone.
    #[track_caller]
    fn check(&self, database: &Database, name: &str, rows: &[&str]) {
        let undo = database.rewind(&Target::from(name), None).unwrap().undo;
        assert_eq!(self.rows(), rows, "{}: {name}", self.mode);
        database.rewind(&Target::Lsn(undo), None).unwrap();
    }

    /// Of an object that nobody follows, to the last byte; also of what a history may take in need.
    fn fill_up(&self, need: Option<Need>) {
        let store = Store::open(&self.dir.path().join("app.db-rewind"), &StoreOptions::default()).unwrap();
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

    /// With so many long records and so many of the shortest, or until there is no room for them. Answers how many long ones there were.
    fn fill_up_with(&self, long: usize, shortest: usize) -> usize {
        let store = Store::open(&self.dir.path().join("app.db-rewind"), &StoreOptions::default()).unwrap();
        let object = store.object("filler", 4096).unwrap();
        store.keep_window(Arc::new(|_: &str| true));
        let head = Head::new(Kind::Note, object, Key::new(99), Lsn::new(1));
        let taken = (0..long).take_while(|_| store.append(head, &[&[7; 1000]]).is_ok()).count();
        let _ = (0..shortest).take_while(|_| store.append(head, &[]).is_ok()).count();
        taken
    }

    /// Writes more than the store takes.
    fn outgrow(&self, database: &Database) {
        for round in 0..60 {
            let _ = database.mark_pinned(&format!("round {round}"));
            self.connect().execute("UPDATE t SET x = 'out' || hex(randomblob(20000))", []).unwrap();
            if database.drain().is_err() {
                return;
            }
        }
        panic!("the store is not full");
    }
}

fn states(database: &Database) -> Vec<(String, MarkState)> {
    database.marks().unwrap().into_iter().map(|mark| (mark.name, mark.state)).collect()
}

fn is_lost((_, state): &(String, MarkState)) -> bool {
    *state == MarkState::Lost
}

fn is_gone((_, state): &(String, MarkState)) -> bool {
    matches!(state, MarkState::Lost | MarkState::Evicted)
}

fn used(path: &Path) -> u64 {
    let store = path.with_file_name("app.db-rewind");
    let files = std::fs::read_dir(store).unwrap().map(Result::unwrap);
    let segments = files.filter(|file| file.file_name().to_string_lossy().ends_with(".seg"));
    segments.map(|file| file.metadata().unwrap().len()).sum()
}

#[test]
fn a_pin_dropped_while_the_store_is_open_makes_room() {
    for mode in MODES {
        let scene = Scene::new(mode);
        let database = scene.record();
        scene.three(&database);
        scene.fill_up(None);
        assert_eq!(database.status().unwrap().state, WindowState::Full, "{mode}");
        assert!(!states(&database).iter().any(is_lost), "{mode}");
        database.drop_mark("one").unwrap();
        assert!(used(&scene.path()) <= LIMIT);
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
        let database = scene.record();
        scene.three(&database);
        scene.outgrow(&database);
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
        assert!(used(&scene.path()) <= LIMIT, "{mode}");
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
        let database = scene.record();
        scene.three(&database);
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
    let database = scene.record();
    scene.three(&database);
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
    let database = scene.record();
    scene.three(&database);
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

/// However many bytes are left: the rewind happens and is recorded, or nothing happens.
#[test]
fn hazard_a_rewind_has_happened_and_there_is_no_room_to_say_so() {
    let three = || {
        let scene = Scene::new("wal");
        let database = scene.record();
        scene.three(&database);
        (scene, database)
    };
    let (scene, database) = three();
    let long = scene.fill_up_with(usize::MAX, 0);
    drop((database, scene));
    let mut outcomes = [0, 0];
    for shortest in 0..56 {
        let (scene, database) = three();
        scene.fill_up_with(long - 1, shortest);
        let outcome = database.rewind(&Target::from("two"), None);
        match &outcome {
            Ok(done) => {
                assert_eq!((scene.rows().len(), done.method), (2, Method::Moved), "{shortest}");
            }
            Err(error) => {
                assert_eq!((error.code(), scene.rows().len()), (Code::StoreFull, 3), "{shortest}: {error}");
                let text = error.to_string();
                assert!(text.starts_with("not rewound: ") && text.contains("has changed nothing"), "{text}");
                assert!(text.contains("drop pinned marks"), "{text}");
            }
        }
        outcomes[usize::from(outcome.is_ok())] += 1;
        assert!(!states(&database).iter().any(is_lost), "{shortest}: {outcome:?}");
        database.drop_mark("one").unwrap();
        database.mark("more").unwrap();
        assert!(!states(&database).iter().any(is_lost), "{shortest}");
        database.close().unwrap();
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

/// Marks that cannot be reached any more are not offered.
#[test]
fn hazard_a_full_store_is_looked_at_after_an_unrecorded_write() {
    for need in [None, Some(Need::Keep)] {
        let scene = Scene::new("wal");
        let database = scene.record();
        scene.three(&database);
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
        let database = scene.record();
        scene.three(&database);
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
    let options = OpenOptions { synchronous: Synchronous::Off, seal: false, ..OpenOptions::default() };
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
    let database = scene.record();
    scene.three(&database);
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
    let database = scene.record();
    scene.three(&database);
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
    let database = scene.record();
    scene.three(&database);
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
