//! A real keeper records for this process, whose own SQLite writes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dbrewind_keeper::{Choice, Error, Failure, Handle, KeeperClient, KeeperCommand};
use dbrewind_sqlite::{Code, JournalMode, Lsn, MarkState, Method, OpenOptions, SqliteApi, Target, Value};
use rusqlite::Connection;

struct World {
    folder: tempfile::TempDir,
    app: Connection,
}

impl World {
    /// A database in WAL mode with one row, and the application's connection to it.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = Connection::open(folder.path().join("app.db")).unwrap();
        app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
        Self { folder, app }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    fn open(&self) -> KeeperClient {
        KeeperClient::open(&keeper(), &self.path(), &OpenOptions::default()).unwrap()
    }

    fn insert(&self, count: i64) {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO t SELECT i FROM n";
        self.app.execute(sql, [count]).unwrap();
    }

    fn rows(&self) -> i64 {
        self.app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    fn is_whole(&self) -> bool {
        self.app.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap() == "ok"
    }
}

fn keeper() -> KeeperCommand {
    KeeperCommand::new(env!("CARGO_BIN_EXE_dbrewind-keeper"))
}

fn send(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().unwrap().success());
}

fn is_closed(db: &KeeperClient) {
    assert_eq!(db.now().unwrap_err().code(), Code::Closed);
}

#[test]
fn marks_and_rewinds() {
    let world = World::new();
    let db = world.open();
    assert_eq!(db.path(), std::path::absolute(world.path()).unwrap());
    assert!(db.store_path().is_dir());
    assert_eq!(db.journal(), JournalMode::Wal);
    let mark = db.mark("one").unwrap();
    assert_eq!((mark.name.as_str(), mark.state), ("one", MarkState::Hot));
    let digest = db.digest().unwrap();
    assert!(!db.dirty_since(&"one".into()).unwrap());
    let at = db.position_at(&"one".into()).unwrap().unwrap();
    assert!(db.is_at(at).unwrap() && db.rests_at(at).unwrap());
    world.app.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(db.is_at(at).unwrap() && !db.rests_at(at).unwrap());
    world.app.execute_batch("COMMIT").unwrap();
    world.insert(1000);
    assert!(db.dirty_since(&"one".into()).unwrap());
    assert_eq!(db.position_at(&"one".into()).unwrap(), None);
    assert!(!db.is_at(at).unwrap() && !db.rests_at(at).unwrap());
    assert!(db.now().unwrap() > mark.lsn);
    let rewound = db.rewind(&"one".into(), None).unwrap();
    assert_eq!((rewound.to, rewound.method), (mark.lsn, Method::Moved));
    assert_eq!((world.rows(), db.digest().unwrap()), (1, digest));
    db.rewind(&Target::Lsn(rewound.undo), None).unwrap();
    assert_eq!(world.rows(), 1001);
    db.mark("two").unwrap();
    let names: Vec<_> = db.marks().unwrap().into_iter().map(|mark| mark.name).collect();
    assert_eq!(names, ["one", "two"]);
    db.drop_mark("two").unwrap();
    db.drain().unwrap();
    db.close().unwrap();
    db.close().unwrap();
    is_closed(&db);
    let db = world.open();
    db.rewind(&"one".into(), None).unwrap();
    assert!(world.rows() == 1 && world.is_whole());
}

#[test]
fn what_differs_is_the_same_as_inside() {
    let world = World::new();
    world.app.execute_batch("CREATE TABLE pairs(a TEXT, b BLOB, PRIMARY KEY(a, b)) WITHOUT ROWID").unwrap();
    let db = world.open();
    db.mark("one").unwrap();
    assert!(db.diff(&"one".into(), None).unwrap().is_empty());
    world.insert(1000);
    world
        .app
        .execute_batch("UPDATE t SET x = -1 WHERE rowid = 1; INSERT INTO pairs VALUES ('x', x'00ff'); CREATE VIEW v AS SELECT 1")
        .unwrap();
    db.mark("two").unwrap();
    let outside = db.diff(&"one".into(), None).unwrap();
    let (inserted, updated) = (&outside.tables["t"].inserted, &outside.tables["t"].updated);
    assert_eq!((inserted.len(), updated.as_slice()), (1000, &[vec![Value::Integer(1)]][..]));
    assert_eq!(outside.tables["pairs"].inserted, [[Value::Text("x".to_owned()), Value::Blob(vec![0, 255])]]);
    assert_eq!(outside.schema.len(), 1);
    let back = db.diff(&"two".into(), Some(&"one".into())).unwrap();
    assert_eq!(&back.tables["t"].deleted, inserted);
    assert_eq!(db.diff(&"none".into(), None).unwrap_err().code(), Code::MarkNotFound);
    db.close().unwrap();
    let db = dbrewind_sqlite::Database::open(SqliteApi::bundled(), &world.path(), &OpenOptions::default())
        .unwrap();
    assert_eq!(db.diff(&"one".into(), Some(&"two".into())).unwrap(), outside);
}

#[test]
fn an_answer_too_long_names_the_way_out() {
    let world = World::new();
    world.app.execute_batch("CREATE TABLE keys(k BLOB PRIMARY KEY) WITHOUT ROWID").unwrap();
    let db = world.open();
    db.mark("one").unwrap();
    for _ in 0..65 {
        world.app.execute_batch("INSERT INTO keys VALUES (randomblob(1 << 20))").unwrap();
    }
    let error = db.diff(&"one".into(), None).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("db.clone"), "{error}");
    // The pipe is in step.
    db.mark("two").unwrap();
    assert!(db.diff(&"two".into(), None).unwrap().is_empty());
}

#[test]
fn errors_are_the_same_as_inside() {
    let world = World::new();
    let db = world.open();
    db.mark("seed").unwrap();
    let outside = [
        db.mark("seed").unwrap_err(),
        db.mark("").unwrap_err(),
        db.drop_mark("sed").unwrap_err(),
        db.rewind(&"sed".into(), None).unwrap_err(),
        db.rewind(&Target::Lsn(Lsn::new(u64::MAX)), None).unwrap_err(),
        db.dirty_since(&"x\u{7f}".into()).unwrap_err(),
    ];
    assert_eq!(outside[2].fields()[1], ("nearest".to_owned(), "seed".to_owned()));
    db.close().unwrap();
    let closed = db.mark("x").unwrap_err();
    // This process has no other SQLite, so the engine may run inside once the keeper is gone.
    let db = dbrewind_sqlite::Database::open(SqliteApi::bundled(), &world.path(), &OpenOptions::default())
        .unwrap();
    let inside = [
        db.mark("seed").unwrap_err(),
        db.mark("").unwrap_err(),
        db.drop_mark("sed").unwrap_err(),
        db.rewind(&"sed".into(), None).unwrap_err(),
        db.rewind(&Target::Lsn(Lsn::new(u64::MAX)), None).unwrap_err(),
        db.dirty_since(&"x\u{7f}".into()).unwrap_err(),
    ];
    for (outside, inside) in outside.into_iter().zip(inside) {
        let inside = Error::from(inside);
        assert_eq!((outside.code(), outside.to_string()), (inside.code(), inside.to_string()));
        assert_eq!(outside.fields(), inside.fields());
    }
    db.close().unwrap();
    assert_eq!(closed.to_string(), db.mark("x").unwrap_err().to_string());
}

#[test]
fn the_choice_follows_what_is_reached() {
    let world = World::new();
    let open = |choice, api| Handle::open(choice, api, &keeper(), &world.path(), &OpenOptions::default());
    let hidden = || Err("hidden".to_owned());
    assert_eq!(open(Choice::Auto, hidden()).unwrap().engine(), Choice::Keeper);
    assert_eq!(open(Choice::Keeper, Ok(SqliteApi::bundled())).unwrap().engine(), Choice::Keeper);
    assert_eq!(open(Choice::Auto, Ok(SqliteApi::bundled())).unwrap().engine(), Choice::Inside);
    let error = open(Choice::Inside, hidden()).unwrap_err();
    assert_eq!(error.code(), Code::Unreachable);
    assert!(error.to_string().starts_with("hidden; "), "{error}");
}

#[test]
fn a_long_list_of_marks_comes_whole() {
    let world = World::new();
    let db = world.open();
    // More than a pipe holds.
    for index in 0..400 {
        db.mark(&format!("{index}{}", "x".repeat(240))).unwrap();
    }
    assert_eq!(db.marks().unwrap().len(), 400);
}

#[test]
fn a_name_of_a_megabyte_is_refused_as_inside() {
    let world = World::new();
    let db = world.open();
    let error = db.mark(&"x".repeat(1 << 20)).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let error = db.rewind(&Target::Name("y".repeat(1 << 20)), None).unwrap_err();
    assert_eq!(error.code(), Code::MarkNotFound);
    db.mark("after").unwrap();
}

#[test]
fn threads_take_turns() {
    let world = World::new();
    let db = world.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let db = &db;
            scope.spawn(move || {
                for index in 0..50 {
                    let name = format!("{thread}-{index}");
                    assert_eq!(db.mark(&name).unwrap().name, name);
                    assert!(db.drop_mark("none").unwrap_err().to_string().contains("none"));
                }
            });
        }
    });
    assert_eq!(db.marks().unwrap().len(), 200);
}

#[test]
fn the_terminals_signals_do_not_reach_it() {
    let world = World::new();
    let db = world.open();
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        send(signal, db.keeper());
    }
    db.mark("still here").unwrap();
    let group = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap().to_owned()
    };
    assert_ne!(group(db.keeper()), group(std::process::id()));
    db.close().unwrap();
}

#[test]
fn nothing_of_the_host_is_inherited() {
    let world = World::new();
    let secret = std::fs::File::open("/dev/null").unwrap();
    let db = world.open();
    let folder = PathBuf::from(format!("/proc/{}", db.keeper()));
    let open: Vec<_> = std::fs::read_dir(folder.join("fd"))
        .unwrap()
        .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap())
        .collect();
    let allowed = |path: &Path| {
        let text = path.to_string_lossy().into_owned();
        ["pipe:", "/memfd:dbrewind-keeper", "anon_inode:[pidfd]", "/dev/null"]
            .iter()
            .any(|a| text.starts_with(a))
            || path.starts_with(world.folder.path())
    };
    assert!(open.iter().all(|path| allowed(path)), "{open:?}");
    assert_eq!(std::fs::read_link(folder.join("cwd")).unwrap(), Path::new("/"));
    drop(secret);
}

#[test]
fn a_killed_keeper_is_reported_and_replaced() {
    let world = World::new();
    let db = world.open();
    db.mark("one").unwrap();
    world.insert(10);
    send("KILL", db.keeper());
    for _ in 0..2 {
        let error = db.rewind(&"one".into(), None).unwrap_err();
        assert_eq!(error.code(), Code::KeeperFailed);
        assert!(
            matches!(error, Error::Failed(Failure::Ended { ref status, .. }) if status == "signal 9"),
            "{error}"
        );
    }
    // The application goes on, and nothing was changed.
    assert_eq!(world.rows(), 11);
    world.insert(1);
    db.close().unwrap();
    is_closed(&db);
    let db = world.open();
    match db.rewind(&"one".into(), None) {
        Ok(_) => assert_eq!(world.rows(), 1),
        Err(error) => {
            assert_eq!(error.code(), Code::MarkLost);
            assert_eq!(world.rows(), 12);
        }
    }
    db.mark("again").unwrap();
    assert!(world.is_whole());
}

#[test]
fn a_keeper_killed_during_rewinds_leaves_one_of_the_states() {
    let world = World::new();
    world.insert(99);
    for round in 0..10 {
        let db = world.open();
        let mark = format!("mark {round}");
        let before = world.rows();
        db.mark(&mark).unwrap();
        world.insert(1000);
        let pid = db.keeper();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while db
                    .rewind(&mark.as_str().into(), None)
                    .is_ok_and(|r| db.rewind(&r.undo.into(), None).is_ok())
                {}
            });
            std::thread::sleep(std::time::Duration::from_millis(1 + 3 * round));
            send("KILL", pid);
        });
        let rows = world.rows();
        assert!(rows == before || rows == before + 1000, "{rows}, {before} before");
        assert!(world.is_whole());
    }
}
