//! More hazards of the WAL: its length, its index, its locks, its other writers. Each test has its hazard's name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Database, Method, OpenOptions, SqliteApi, Target};
use rusqlite::Connection;

struct Scene {
    dir: tempfile::TempDir,
    app: Connection,
    database: Database,
}

impl Scene {
    fn new(wal_limit: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let app = Connection::open(&path).unwrap();
        app.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0;
             CREATE TABLE t(id INTEGER PRIMARY KEY, number INT, filling BLOB)",
        )
        .unwrap();
        let options = OpenOptions { wal_limit, ..OpenOptions::default() };
        let database = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
        Self { dir, app, database }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn wal_len(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("app.db-wal")).unwrap().len()
    }

    /// Writes rows of a page each, in one transaction.
    fn write(&self, number: i64, ids: std::ops::Range<i64>) {
        self.app.execute_batch("BEGIN").unwrap();
        for id in ids {
            self.app.execute("REPLACE INTO t VALUES(?1, ?2, zeroblob(3500))", [id, number]).unwrap();
        }
        self.app.execute_batch("COMMIT").unwrap();
    }

    /// All there is, as a connection of its own sees it.
    fn content(&self) -> Vec<(i64, i64)> {
        let other = Connection::open(self.path()).unwrap();
        let check: String = other.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let mut statement = other.prepare("SELECT id, number FROM t ORDER BY id").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    /// Marks the present moment, and remembers it.
    fn mark(&self, name: &str) -> (String, [u8; 16], Vec<(i64, i64)>) {
        self.database.mark(name).unwrap();
        (name.to_owned(), self.database.digest().unwrap(), self.content())
    }

    fn go(&self, (name, digest, content): &(String, [u8; 16], Vec<(i64, i64)>)) -> Method {
        let done = self.database.rewind(&Target::from(name.as_str()), None).unwrap();
        assert_eq!(&self.database.digest().unwrap(), digest, "{name}");
        assert_eq!(&self.content(), content, "{name}");
        done.method
    }
}

/// The WAL file stays as long as it was when its end has moved back; a newer mark needs frames past that end.
#[test]
fn wal_longer_than_mxframe() {
    let scene = Scene::new(1 << 30);
    scene.write(1, 0..50);
    let early = scene.mark("early");
    scene.write(2, 0..3000);
    let late = scene.mark("late");
    let len = scene.wal_len();
    assert_eq!(scene.go(&early), Method::Moved);
    assert_eq!(scene.wal_len(), len);
    // Overwrites some of the frames that `late` consisted of, not all.
    scene.write(3, 0..100);
    let third = scene.mark("third");
    for mark in [&late, &early, &third, &late, &third] {
        scene.go(mark);
    }
}

/// The WAL begins anew under the recording, in tables of the index that still name the old frames.
#[test]
fn wal_restart_stale_hash() {
    let scene = Scene::new(2 << 20);
    scene.write(1, 0..200);
    let first = scene.mark("first");
    // Several regions of the index, and far over the limit.
    scene.write(2, 0..9000);
    let started = Instant::now();
    let index = scene.dir.path().join("app.db-shm");
    // Opening and closing the index here would drop this process's locks: another one reads it.
    let end = || {
        let found = Command::new("cat").arg(&index).output().unwrap().stdout;
        u32::from_ne_bytes(found[16..20].try_into().unwrap())
    };
    while end() > 100 {
        assert!(started.elapsed() < Duration::from_secs(60), "the WAL is not begun anew");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = scene.mark("second");
    scene.write(3, 4000..5200);
    let third = scene.mark("third");
    for mark in [&second, &first, &third, &second] {
        scene.go(mark);
    }
}

/// The freeze is a lock on a slot above 0: with slot 0 every commit would sort the whole WAL before it failed to
/// check-point.
#[test]
fn freeze_slot_zero_slow() {
    let scene = Scene::new(1 << 30);
    scene.write(1, 0..5);
    let inode = std::fs::metadata(scene.dir.path().join("app.db-shm")).unwrap().ino();
    let me = std::process::id().to_string();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let mut bytes = Vec::new();
    for line in locks.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = words.len() > 7 && words[4] == me && words[5].ends_with(&format!(":{inode}"));
        if ours {
            let (first, last): (u32, u32) = (words[6].parse().unwrap(), words[7].parse().unwrap());
            bytes.extend(first..=last);
        }
    }
    let (slot_0, slot_4, checkpoint) = (123, 127, 121);
    assert!(bytes.contains(&slot_4) && bytes.contains(&checkpoint), "{bytes:?}\n{locks}");
    assert!(!bytes.contains(&slot_0), "{bytes:?}");
}

/// Programs that know nothing of the recording write between the marks.
#[test]
fn foreign_writer_wal_capture() {
    let scene = Scene::new(1 << 30);
    scene.write(1, 0..20);
    let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                   c.execute('pragma synchronous=off')\n\
                   for i in range(40): c.execute('replace into t values(?, ?, zeroblob(3500))', (i, int(sys.argv[2])))";
    let foreign = |number: &str| {
        let run =
            Command::new("python3").args(["-c", program]).arg(scene.path()).arg(number).status().unwrap();
        assert!(run.success());
    };
    let mut marks = vec![scene.mark("start")];
    for number in 2..6 {
        foreign(&number.to_string());
        scene.write(10 * number, 10..15);
        marks.push(scene.mark(&format!("after {number}")));
    }
    for at in [0, 3, 1, 4, 2, 0, 4] {
        scene.go(&marks[at]);
        if at == 1 {
            foreign("77");
        }
    }
}

/// Two connections commit in turn and at once: the record has their commits in the order of the WAL.
#[test]
fn phasetwo_order_in_wal() {
    let scene = Scene::new(1 << 30);
    scene.write(0, 0..2);
    let mut marks = Vec::new();
    for round in 1..6_i64 {
        std::thread::scope(|scope| {
            for writer in 0..2_i64 {
                let path = scene.path();
                scope.spawn(move || {
                    let own = Connection::open(path).unwrap();
                    own.busy_timeout(Duration::from_secs(30)).unwrap();
                    own.execute_batch("PRAGMA synchronous=OFF").unwrap();
                    for step in 0..50 {
                        // Both write the same row: the later commit must win.
                        own.execute(
                            "UPDATE t SET number = ?1 WHERE id = 0",
                            [round * 1000 + step * 2 + writer],
                        )
                        .unwrap();
                    }
                });
            }
        });
        marks.push(scene.mark(&format!("round {round}")));
    }
    for at in [0, 4, 2, 3, 1, 4] {
        scene.go(&marks[at]);
    }
}
