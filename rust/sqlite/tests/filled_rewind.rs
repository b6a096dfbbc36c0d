//! A store that fills up between any two of the records by which a rewind is recorded, at each such place deliberately: the
//! database is in the state before or after, the error says which, and no later call is wrong.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test panics")]

use std::path::PathBuf;
use std::process::Command;

use dbrewind_core::{Cursor, Head, Key, Kind, Location, Lsn, Store, StoreOptions};
use dbrewind_sqlite::{
    Code, Database, Error, Journal, MarkState, Method, OpenOptions, SqliteApi, Synchronous, Target,
};
use rusqlite::Connection;

/// Bytes of a record without its body.
const HEAD: u64 = 40;
/// Below what any store here has: nothing is created any more.
const NOTHING: u64 = 1 << 20;
const ENOUGH: u64 = 1 << 30;

/// A rewind that is about to be made.
struct Scene {
    dir: tempfile::TempDir,
    db: Database,
    app: Connection,
    /// Keeps a rewind in WAL mode from moving the end.
    reader: Option<Connection>,
    /// The mark to go to, and what is seen there.
    target: &'static str,
    there: String,
}

/// How to come before a rewind, and what becomes of it where the store has room.
struct Scenario {
    name: &'static str,
    build: fn() -> Scene,
    method: Method,
    /// What becomes of it where so many of its records have room, and no more.
    expected: fn(usize, usize) -> Outcome,
}

const SCENARIOS: [Scenario; 6] = [
    Scenario { name: "wal, moved", build: moved, method: Method::Moved, expected: asked_first },
    Scenario {
        name: "wal, beside a reader",
        build: beside_a_reader,
        method: Method::Written,
        expected: asked_first,
    },
    Scenario {
        name: "wal, to the era before",
        build: to_the_era_before,
        method: Method::Written,
        expected: asked_first,
    },
    Scenario {
        name: "delete, longer then",
        build: longer_then,
        method: Method::Written,
        expected: recorded_last,
    },
    Scenario {
        name: "delete, shorter then",
        build: shorter_then,
        method: Method::Written,
        expected: recorded_last,
    },
    Scenario {
        name: "delete, pages become free",
        build: pages_become_free,
        method: Method::Written,
        expected: recorded_last,
    },
];

fn path(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("app.db")
}

fn record(dir: &tempfile::TempDir, journal: Option<Journal>) -> Database {
    // Without the background: what is appended, the test or its calls append.
    let options =
        OpenOptions { journal, synchronous: Synchronous::Off, seal: false, ..OpenOptions::default() };
    Database::open(SqliteApi::bundled(), &path(dir), &options).unwrap()
}

fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(&dir.path().join("app.db-rewind"), &StoreOptions::default()).unwrap()
}

/// What there is to see: tables, and rows.
fn seen(app: &Connection) -> String {
    let names = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema ORDER BY 1)";
    let rows = "SELECT count(*) || ' ' || sum(length(x)) || ' ' || max(x) FROM t";
    let of = |statement| app.query_row(statement, [], |row| row.get::<_, String>(0)).unwrap();
    format!("{}: {}", of(names), of(rows))
}

/// What plain SQLite finds after everybody was killed now. Copied by another process: closing the file in this one would
/// drop our locks.
fn seen_after_a_kill(dir: &tempfile::TempDir) -> String {
    let copy = tempfile::tempdir().unwrap();
    for end in ["", "-wal", "-journal"] {
        let from = dir.path().join(format!("app.db{end}"));
        if from.exists() {
            assert!(Command::new("cp").arg(from).arg(copy.path()).status().unwrap().success());
        }
    }
    seen(&Connection::open_with_flags_and_vfs(path(&copy), rusqlite::OpenFlags::default(), "unix").unwrap())
}

fn begin(mode: &str) -> (tempfile::TempDir, Database, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let plain = Connection::open(path(&dir)).unwrap();
    plain
        .execute_batch(&format!(
            "PRAGMA journal_mode={mode}; CREATE TABLE t(x); INSERT INTO t VALUES('seed')"
        ))
        .unwrap();
    drop(plain);
    let db = record(&dir, None);
    let app = connect(&dir);
    (dir, db, app)
}

fn connect(dir: &tempfile::TempDir) -> Connection {
    let app = Connection::open(path(dir)).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    app
}

fn moved() -> Scene {
    let (dir, db, app) = begin("wal");
    db.mark("seed").unwrap();
    let there = seen(&app);
    app.execute_batch("INSERT INTO t VALUES('one'); INSERT INTO t VALUES(zeroblob(9000))").unwrap();
    Scene { dir, db, app, reader: None, target: "seed", there }
}

fn beside_a_reader() -> Scene {
    let scene = moved();
    let reader = Connection::open(path(&scene.dir)).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    Scene { reader: Some(reader), ..scene }
}

fn to_the_era_before() -> Scene {
    let (dir, db, app) = begin("delete");
    db.mark("seed").unwrap();
    let there = seen(&app);
    app.execute_batch("INSERT INTO t VALUES(zeroblob(9000))").unwrap();
    drop(app);
    db.close().unwrap();
    let db = record(&dir, Some(Journal::Wal));
    let app = connect(&dir);
    app.execute_batch("INSERT INTO t VALUES('one')").unwrap();
    Scene { dir, db, app, reader: None, target: "seed", there }
}

fn longer_then() -> Scene {
    let (dir, db, app) = begin("delete");
    app.execute_batch("INSERT INTO t VALUES(zeroblob(20000))").unwrap();
    db.mark("long").unwrap();
    let there = seen(&app);
    app.execute_batch("DELETE FROM t WHERE length(x) > 100; VACUUM; INSERT INTO t VALUES('one')").unwrap();
    Scene { dir, db, app, reader: None, target: "long", there }
}

fn shorter_then() -> Scene {
    let (dir, db, app) = begin("delete");
    db.mark("seed").unwrap();
    let there = seen(&app);
    app.execute_batch("INSERT INTO t VALUES(zeroblob(20000))").unwrap();
    Scene { dir, db, app, reader: None, target: "seed", there }
}

/// Pages that have the same content there, but are free: they are saved when the file is written already.
fn pages_become_free() -> Scene {
    let (dir, db, app) = begin("delete");
    app.execute_batch("CREATE TABLE big(x); INSERT INTO big VALUES(zeroblob(20000))").unwrap();
    db.mark("big").unwrap();
    app.execute_batch("DROP TABLE big").unwrap();
    db.mark("free").unwrap();
    let there = seen(&app);
    db.rewind(&Target::from("big"), None).unwrap();
    app.execute_batch("INSERT INTO t VALUES('one')").unwrap();
    Scene { dir, db, app, reader: None, target: "free", there }
}

fn everything(store: &Store, from: &mut Cursor) -> Vec<(Head, Location, u64)> {
    let mut found = Vec::new();
    store
        .scan(from, &mut |head, at, len| found.push((head, at, HEAD + u64::from(len).next_multiple_of(8))))
        .unwrap();
    found
}

/// Fills the last segment but for these bytes, and lets no other one be made. Answers where the log ends.
fn leave(dir: &tempfile::TempDir, store: &Store, room: u64) -> Cursor {
    let filler = Head {
        kind: Kind::Note,
        flags: 0,
        object: store.object("filler", 4096).unwrap(),
        key: Key::new(99),
        lsn: Lsn::new(1),
    };
    let at = store.append(filler, &[]).unwrap();
    assert_eq!(at.segment().get(), 1);
    let size =
        std::fs::metadata(dir.path().join("app.db-rewind").join(format!("{:016x}.seg", 1))).unwrap().len();
    let body = size - u64::from(at.offset()) - HEAD - room - HEAD;
    store.append(filler, &[&vec![7; usize::try_from(body).unwrap()]]).unwrap();
    store.set_limit(NOTHING);
    let mut end = Cursor::default();
    everything(store, &mut end);
    end
}

/// Whether the tail has written down in between what the database looks like: then the place was another one.
fn disturbed(records: &[(Head, Location, u64)]) -> bool {
    const ANCHOR: u64 = 2;
    records.iter().any(|(head, ..)| head.kind == Kind::Note && head.key.get() == ANCHOR)
}

/// Bytes of each record by which this rewind is recorded.
fn records_of(scenario: &Scenario) -> Vec<(Head, u64)> {
    loop {
        let scene = (scenario.build)();
        scene.db.drain().unwrap();
        scene.db.mark("before").unwrap();
        let store = store(&scene.dir);
        let mut end = Cursor::default();
        everything(&store, &mut end);
        let done = scene.db.rewind(&Target::from(scene.target), None).unwrap();
        assert_eq!(done.method, scenario.method, "{}", scenario.name);
        assert_eq!(seen(&scene.app), scene.there);
        let records = everything(&store, &mut end);
        if !disturbed(&records) {
            return records.into_iter().map(|(head, _, bytes)| (head, bytes)).collect();
        }
    }
}

/// What came of a rewind of whose records so many had room.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// It took effect, and said so.
    happened: bool,
    /// The mark is there when the recording is opened again with enough room.
    kept: bool,
}

fn fill_up_after(scenario: &Scenario, records: &[(Head, u64)], count: usize) -> Outcome {
    let what = format!("{}, room for {count} of {} records", scenario.name, records.len());
    let room: u64 = records[..count].iter().map(|(_, bytes)| bytes).sum();
    loop {
        let Scene { dir, db, app, reader, target, there } = (scenario.build)();
        db.drain().unwrap();
        let store = store(&dir);
        let (before, digest) = (seen(&app), db.digest().unwrap());
        db.mark("before").unwrap();
        let mut end = leave(&dir, &store, room);
        let error = match db.rewind(&Target::from(target), None) {
            Err(error) => error,
            Ok(_) => panic!("{what}: it was recorded"),
        };
        let appended = everything(&store, &mut end);
        if disturbed(&appended) {
            continue;
        }
        assert_eq!(error.code(), Code::StoreFull, "{what}: {error}");
        let happened = matches!(error, Error::Late { .. });
        assert_eq!(error.to_string().starts_with("not rewound: "), !happened, "{what}: {error}");
        // In WAL mode room for all of them is asked for before there is any.
        let stopped_at = if scenario.name.starts_with("wal") { 0 } else { count };
        assert_eq!(appended.len(), stopped_at, "{what}: it failed at another place");
        let expected = if happened { &there } else { &before };
        assert_eq!(&seen(&app), expected, "{what}: {error}");
        assert_eq!(&seen_after_a_kill(&dir), expected, "{what}: {error}");
        assert_eq!(error.to_string().contains("the database is at the target"), happened, "{what}: {error}");
        // Nor does the next call lie, or do anything by halves.
        for _ in 0..2 {
            match db.rewind(&Target::from(target), None) {
                Ok(_) => assert_eq!(seen(&app), there, "{what}"),
                Err(error) => {
                    assert_eq!(error.code(), Code::StoreFull, "{what}: {error}");
                    assert_eq!(&seen(&app), expected, "{what}: {error}");
                }
            }
        }
        if let Err(error) = db.mark("late") {
            assert_eq!(error.code(), Code::StoreFull, "{what}: {error}");
        }
        drop((reader, app));
        let _ = db.close();
        store.set_limit(ENOUGH);

        let db = record(&dir, None);
        let app = connect(&dir);
        assert_eq!(&seen(&app), expected, "{what}: opened again");
        let state = db.marks().unwrap().into_iter().find(|mark| mark.name == target).unwrap().state;
        let kept = state != MarkState::Lost;
        if kept {
            app.execute_batch("INSERT INTO t VALUES('more')").unwrap();
            let there_again = |to: &Target| {
                db.rewind(to, None).unwrap();
                (seen(&app), db.digest().unwrap())
            };
            assert_eq!(there_again(&Target::from(target)).0, there, "{what}: the mark");
            assert_eq!(there_again(&Target::from("before")), (before, digest), "{what}: back");
        } else {
            assert_eq!(db.rewind(&Target::from(target), None).unwrap_err().code(), Code::MarkLost, "{what}");
            db.mark("anew").unwrap();
            let anew = seen(&app);
            app.execute_batch("INSERT INTO t VALUES('more')").unwrap();
            db.rewind(&Target::from("anew"), None).unwrap();
            assert_eq!(seen(&app), anew, "{what}: a new mark");
        }
        return Outcome { happened, kept };
    }
}

/// The WAL is changed when there is room for all that is recorded of it.
fn asked_first(_: usize, _: usize) -> Outcome {
    Outcome { happened: false, kept: true }
}

/// All is saved before the file is whole, and the intent tells what is missing then.
fn recorded_last(count: usize, of: usize) -> Outcome {
    Outcome { happened: count + 1 == of, kept: true }
}

#[test]
fn a_store_that_fills_up_between_any_two_records_of_a_rewind() {
    for scenario in SCENARIOS {
        let records = records_of(&scenario);
        for count in 0..records.len() {
            let outcome = fill_up_after(&scenario, &records, count);
            assert_eq!(outcome, (scenario.expected)(count, records.len()), "{}, {count}", scenario.name);
        }
    }
}
