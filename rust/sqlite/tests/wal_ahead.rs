//! Long transactions, whose frames the tail copies before they commit: what counts is what was committed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dbrewind_core::{Cursor, Kind, Store, StoreOptions};
use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Target};
use rusqlite::{Connection, params};

const ROWS: i64 = 3000;

struct Scene {
    _dir: tempfile::TempDir,
    path: PathBuf,
    app: Connection,
    database: Database,
    store: Store,
}

impl Scene {
    /// A table of which every row fills a page, and a connection that holds ten pages in memory.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let app = Connection::open(&path).unwrap();
        app.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=10;
             CREATE TABLE t(id INTEGER PRIMARY KEY, number INT, filling BLOB)",
        )
        .unwrap();
        app.execute_batch("BEGIN").unwrap();
        for id in 1..=ROWS {
            app.execute("INSERT INTO t VALUES(?1, 0, zeroblob(3000))", [id]).unwrap();
        }
        app.execute_batch("COMMIT").unwrap();
        let database = Database::open(SqliteApi::bundled(), &path, &OpenOptions::default()).unwrap();
        let store = Store::open(database.store_path(), &StoreOptions::default()).unwrap();
        Self { _dir: dir, path, app, database, store }
    }

    fn write(&self, number: i64, ids: impl Iterator<Item = i64>) {
        let mut update = self.app.prepare_cached("UPDATE t SET number = ?1 WHERE id = ?2").unwrap();
        for id in ids {
            update.execute(params![number, id]).unwrap();
        }
    }

    fn count(&self, kind: Kind) -> usize {
        let mut count = 0;
        self.store
            .scan(&mut Cursor::default(), &mut |head, _, _| count += usize::from(head.kind == kind))
            .unwrap();
        count
    }

    /// Waits until the store has so many more images than it had.
    fn wait_for_images(&self, before: usize, more: usize) {
        let started = Instant::now();
        while self.count(Kind::After) < before + more {
            assert!(started.elapsed() < Duration::from_secs(60), "nothing is copied before the commit");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Goes to the mark and back again, and compares both with copies of their own.
    fn there_and_back(&self, mark: &str, at_mark: [u8; 16]) {
        let now = self.database.digest().unwrap();
        let sum = self.sum();
        let done = self.database.rewind(&Target::from(mark), None).unwrap();
        assert_eq!(self.database.digest().unwrap(), at_mark);
        self.database.rewind(&Target::Lsn(done.undo), None).unwrap();
        assert_eq!(self.database.digest().unwrap(), now);
        assert_eq!(self.sum(), sum);
        let check: String = self.app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }

    /// As another, new connection sees it.
    fn sum(&self) -> i64 {
        let other = Connection::open(&self.path).unwrap();
        other.query_row("SELECT sum(number * id) FROM t", [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn a_long_transaction_is_copied_before_it_commits() {
    let scene = Scene::new();
    let base = scene.database.digest().unwrap();
    scene.database.mark("base").unwrap();
    for round in 1..4 {
        let before = scene.count(Kind::After);
        scene.app.execute_batch("BEGIN").unwrap();
        scene.write(round, 1..=ROWS);
        scene.wait_for_images(before, 2000);
        scene.app.execute_batch("COMMIT").unwrap();
        scene.there_and_back("base", base);
        scene.database.rewind(&Target::from("base"), None).unwrap();
        let images = scene.count(Kind::After) - before;
        assert!(images < 2 * ROWS as usize, "{images} images: the transaction was copied twice");
    }
    assert_eq!(scene.count(Kind::Void), 0);
}

#[test]
fn a_long_transaction_that_is_rolled_back_leaves_nothing() {
    let scene = Scene::new();
    let base = scene.database.digest().unwrap();
    scene.database.mark("base").unwrap();
    let before = scene.count(Kind::After);
    scene.app.execute_batch("BEGIN").unwrap();
    scene.write(7, 1..=ROWS);
    scene.wait_for_images(before, 500);
    scene.app.execute_batch("ROLLBACK").unwrap();
    // Its frames are overwritten by others, which have the same LSNs.
    scene.app.execute_batch("BEGIN").unwrap();
    scene.write(8, (1..=ROWS).rev().step_by(3));
    scene.app.execute_batch("COMMIT").unwrap();
    scene.there_and_back("base", base);
    assert!(scene.count(Kind::Void) > 0);
}

#[test]
fn a_rewind_after_a_rollback_leaves_no_image_behind() {
    let scene = Scene::new();
    scene.write(1, 1..=5);
    scene.database.mark("one").unwrap();
    let one = scene.database.digest().unwrap();
    scene.write(2, 1..=5);
    let before = scene.count(Kind::After);
    scene.app.execute_batch("BEGIN").unwrap();
    scene.write(7, 1..=ROWS);
    scene.wait_for_images(before, 500);
    scene.app.execute_batch("ROLLBACK").unwrap();
    scene.database.rewind(&Target::from("one"), None).unwrap();
    assert_eq!(scene.database.digest().unwrap(), one);
    scene.write(3, 1..=900);
    scene.there_and_back("one", one);
}

/// Pages that are written out twice by one transaction: SQLite overwrites the first frame, and sums anew at the end.
#[test]
fn frames_that_are_overwritten_before_the_commit() {
    let scene = Scene::new();
    let base = scene.database.digest().unwrap();
    scene.database.mark("base").unwrap();
    let before = scene.count(Kind::After);
    scene.app.execute_batch("BEGIN").unwrap();
    scene.write(1, 1..=1000);
    scene.wait_for_images(before, 500);
    scene.write(2, (1..=1000).rev().step_by(7));
    scene.write(3, 900..=1500);
    scene.app.execute_batch("COMMIT").unwrap();
    scene.there_and_back("base", base);
    assert!(scene.count(Kind::Void) > 0);
}

#[test]
fn a_savepoint_that_is_rolled_back() {
    let scene = Scene::new();
    let base = scene.database.digest().unwrap();
    scene.database.mark("base").unwrap();
    let before = scene.count(Kind::After);
    scene.app.execute_batch("BEGIN").unwrap();
    scene.write(1, 1..=700);
    scene.app.execute_batch("SAVEPOINT s").unwrap();
    scene.write(2, 701..=2500);
    scene.wait_for_images(before, 1000);
    scene.app.execute_batch("ROLLBACK TO s").unwrap();
    scene.write(3, 2000..=ROWS);
    scene.app.execute_batch("COMMIT").unwrap();
    scene.there_and_back("base", base);
}

/// The table is emptied on the way: pages that were written and then cut off again.
#[test]
fn pages_that_are_cut_off_before_the_commit() {
    let scene = Scene::new();
    scene.app.execute_batch("PRAGMA auto_vacuum=FULL; VACUUM").unwrap();
    scene.database.mark("base").unwrap();
    let base = scene.database.digest().unwrap();
    scene.app.execute_batch("BEGIN").unwrap();
    let before = scene.count(Kind::After);
    scene.write(1, 1..=ROWS);
    scene.wait_for_images(before, 1000);
    scene.app.execute("DELETE FROM t WHERE id > 100", []).unwrap();
    scene.app.execute_batch("COMMIT").unwrap();
    scene.there_and_back("base", base);
}
