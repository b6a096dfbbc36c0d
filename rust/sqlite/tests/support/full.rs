//! A database whose store is about to be full, alone in it or beside others.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use dbrewind_core::{Head, Key, Kind, Lsn, Need, Store, StoreOptions};
use dbrewind_sqlite::{Database, Error, Journal, MarkState, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;

pub(crate) const LIMIT: u64 = 1 << 20;
pub(crate) const MODES: [&str; 2] = ["wal", "delete"];

/// A database with a table `t(x)`.
pub(crate) struct Scene {
    dir: Rc<tempfile::TempDir>,
    name: &'static str,
    pub(crate) mode: &'static str,
}

impl Scene {
    pub(crate) fn new(mode: &'static str) -> Self {
        Self::made(Rc::new(tempfile::tempdir().unwrap()), "app.db", mode)
    }

    fn made(dir: Rc<tempfile::TempDir>, name: &'static str, mode: &'static str) -> Self {
        let scene = Self { dir, name, mode };
        scene.connect().execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x)")).unwrap();
        scene
    }

    /// Another database in the same store.
    pub(crate) fn beside(&self, name: &'static str) -> Self {
        Self::made(Rc::clone(&self.dir), name, self.mode)
    }

    /// The database is called so from now on.
    pub(crate) fn moved(self, name: &'static str) -> Self {
        std::fs::rename(self.path(), self.dir.path().join(name)).unwrap();
        Self { name, ..self }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("history")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.folder(), &StoreOptions::default()).unwrap()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    pub(crate) fn open(&self, limit: Option<u64>) -> Result<Database, Error> {
        self.open_in(None, limit)
    }

    pub(crate) fn open_in(&self, journal: Option<Journal>, limit: Option<u64>) -> Result<Database, Error> {
        let options = OpenOptions {
            store: Some(self.folder()),
            journal,
            limit,
            synchronous: Synchronous::Off,
            // That would make room.
            seal: false,
            ..OpenOptions::default()
        };
        Database::open(SqliteApi::bundled(), &self.path(), &options)
    }

    pub(crate) fn record(&self) -> Database {
        self.open(Some(LIMIT)).unwrap()
    }

    pub(crate) fn write(&self, text: &str) {
        let app = self.connect();
        app.execute("INSERT INTO t VALUES(?1 || hex(zeroblob(20000)))", [text]).unwrap();
    }

    pub(crate) fn rows(&self) -> Vec<String> {
        let app = self.connect();
        let mut rows = app.prepare("SELECT substr(x, 1, 3) FROM t ORDER BY rowid").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Three moments, the first one pinned.
    pub(crate) fn three(&self, database: &Database) {
        for (name, pinned) in [("one", true), ("two", false), ("six", false)] {
            self.write(name);
            if pinned { database.mark_pinned(name) } else { database.mark(name) }.unwrap();
        }
        database.drain().unwrap();
    }

    /// Recorded, with the three moments.
    pub(crate) fn with_three(&self) -> Database {
        let database = self.record();
        self.three(&database);
        database
    }

    /// Everything is as it was at the mark, and can be undone.
    #[track_caller]
    pub(crate) fn check(&self, database: &Database, name: &str, rows: &[&str]) {
        let undo = database.rewind(&Target::from(name), None).unwrap().undo;
        assert_eq!(self.rows(), rows, "{}: {name}", self.mode);
        database.rewind(&Target::Lsn(undo), None).unwrap();
    }

    /// Of an object that nobody follows, to the last byte; also of what a history may take in need.
    pub(crate) fn fill_up(&self, need: Option<Need>) {
        let (store, head) = self.filler();
        while store.append(head, &[&[7; 1000]]).is_ok() {}
        if let Some(need) = need {
            while store.append_in_need(need, head, &[&[7; 1000]]).is_ok() {}
            while store.append_in_need(need, head, &[]).is_ok() {}
        }
        while store.append(head, &[]).is_ok() {}
    }

    /// With so many long records and so many of the shortest, or until there is no room for them. Answers how many long ones there were.
    pub(crate) fn fill_up_with(&self, long: usize, shortest: usize) -> usize {
        let (store, head) = self.filler();
        let taken = (0..long).take_while(|_| store.append(head, &[&[7; 1000]]).is_ok()).count();
        let _ = (0..shortest).take_while(|_| store.append(head, &[]).is_ok()).count();
        taken
    }

    /// What fills the store: open from now on, and a record's head.
    pub(crate) fn filler(&self) -> (Store, Head) {
        let store = self.store();
        let object = store.object("filler", 4096).unwrap();
        store.keep_window(Arc::new(|_: &str| true));
        (store, Head::new(Kind::Note, object, Key::new(99), Lsn::new(1)))
    }

    /// Bytes of the store.
    pub(crate) fn used(&self) -> u64 {
        let files = std::fs::read_dir(self.folder()).unwrap().map(Result::unwrap);
        let segments = files.filter(|file| file.file_name().to_string_lossy().ends_with(".seg"));
        segments.map(|file| file.metadata().unwrap().len()).sum()
    }
}

pub(crate) fn states(database: &Database) -> Vec<(String, MarkState)> {
    database.marks().unwrap().into_iter().map(|mark| (mark.name, mark.state)).collect()
}

pub(crate) fn is_lost((_, state): &(String, MarkState)) -> bool {
    *state == MarkState::Lost
}

pub(crate) fn is_gone((_, state): &(String, MarkState)) -> bool {
    matches!(state, MarkState::Lost | MarkState::Evicted)
}
