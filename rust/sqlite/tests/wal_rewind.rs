//! Rewinds of a database in WAL mode, seen from the application's own connections.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

use std::path::PathBuf;

use dbrewind_sqlite::{Database, MarkState, Method, OpenOptions, SqliteApi, Target};
use rusqlite::Connection;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { dir: tempfile::tempdir().unwrap() };
        let app = fixture.connect();
        app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)").unwrap();
        fixture
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn record(&self) -> Database {
        Database::open(SqliteApi::bundled(), &self.path(), &OpenOptions::default()).unwrap()
    }
}

fn insert(app: &Connection, text: &str) {
    app.execute("INSERT INTO t(x) VALUES(?1)", [text]).unwrap();
}

fn rows(app: &Connection) -> Vec<String> {
    let mut statement = app.prepare_cached("SELECT x FROM t ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn name(name: &str) -> Target {
    Target::from(name)
}

#[test]
fn rewinding_there_and_back_and_there_again() {
    let fixture = Fixture::new();
    let app = fixture.connect();
    insert(&app, "seed");
    let database = fixture.record();
    let mark = database.mark("seeded").unwrap();
    assert_eq!(mark.state, MarkState::Hot);
    let seeded = database.digest().unwrap();
    for round in 0..20 {
        for number in 0..10 {
            insert(&app, &format!("{round}-{number}"));
        }
        assert!(database.dirty_since(&name("seeded")).unwrap());
        let changed = database.digest().unwrap();
        assert_ne!(changed, seeded);
        let rewound = database.rewind(&name("seeded"), None).unwrap();
        assert_eq!(rewound.method, Method::Moved);
        assert_eq!(rows(&app), ["seed"]);
        assert_eq!(database.digest().unwrap(), seeded);
        assert!(!database.dirty_since(&name("seeded")).unwrap());
        assert_eq!(database.rewind(&name("seeded"), None).unwrap().method, Method::Nothing);

        let redone = database.rewind(&Target::Lsn(rewound.undo), None).unwrap();
        assert_eq!(redone.method, Method::Written);
        assert_eq!(rows(&app).len(), 11, "round {round}");
        assert_eq!(database.digest().unwrap(), changed);
        assert_eq!(database.rewind(&name("seeded"), None).unwrap().method, Method::Moved);
    }
    let check: String = app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_reader_on_an_old_snapshot_is_not_disturbed() {
    let fixture = Fixture::new();
    let (app, reader) = (fixture.connect(), fixture.connect());
    let database = fixture.record();
    database.mark("empty").unwrap();
    insert(&app, "one");
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(rows(&reader), ["one"]);
    let rewound = database.rewind(&name("empty"), None).unwrap();
    assert_eq!(rewound.method, Method::Written);
    assert_eq!(rows(&reader), ["one"]);
    assert_eq!(rows(&app), Vec::<String>::new());
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&reader), Vec::<String>::new());
}

#[test]
fn marks_survive_closing() {
    let fixture = Fixture::new();
    let app = fixture.connect();
    insert(&app, "seed");
    let before = {
        let database = fixture.record();
        database.mark("seeded").unwrap();
        let digest = database.digest().unwrap();
        insert(&app, "more");
        database.mark("more").unwrap();
        database.close().unwrap();
        digest
    };
    drop(app);
    let database = fixture.record();
    let states: Vec<_> = database.marks().unwrap().into_iter().map(|mark| (mark.name, mark.state)).collect();
    assert_eq!(states, [("seeded".into(), MarkState::Archived), ("more".into(), MarkState::Hot)]);
    let app = fixture.connect();
    insert(&app, "even more");
    assert_eq!(database.rewind(&name("more"), None).unwrap().method, Method::Moved);
    assert_eq!(rows(&app), ["seed", "more"]);
    assert_eq!(database.rewind(&name("seeded"), None).unwrap().method, Method::Written);
    assert_eq!(rows(&app), ["seed"]);
    assert_eq!(database.digest().unwrap(), before);
}
