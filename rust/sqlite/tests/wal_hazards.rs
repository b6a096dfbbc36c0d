//! The hazards of rewinding a database in WAL mode; each test has its hazard's name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Code, MarkState, Method, OpenOptions};
use rusqlite::Connection;
use support::child;
use support::wal::{WalWorld, insert, record, rows, to};

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A connection that had parsed the abandoned schema must not read another table under the old name.
#[test]
fn aba_schema_cookie() {
    let scene = WalWorld::new();
    let (app, other) = (scene.connect(), scene.connect());
    let database = scene.record();
    database.mark("before").unwrap();
    for round in 0..3 {
        app.execute_batch("CREATE TABLE u(a); INSERT INTO u VALUES('of u')").unwrap();
        let read: String = other.query_row("SELECT a FROM u", [], |row| row.get(0)).unwrap();
        assert_eq!(read, "of u");
        assert_eq!(database.rewind(&to("before"), None).unwrap().method, Method::Moved);
        app.execute_batch("CREATE TABLE w(a); INSERT INTO w VALUES('of w')").unwrap();
        let error = other.query_row("SELECT a FROM u", [], |row| row.get::<_, String>(0)).unwrap_err();
        assert!(error.to_string().contains("no such table: u"), "round {round}: {error}");
        database.rewind(&to("before"), None).unwrap();
    }
}

/// A statement of the present schema need not be prepared anew after each rewind to the same mark.
#[test]
fn cookie_of_the_same_schema_is_kept() {
    let scene = WalWorld::new();
    let app = scene.connect();
    let database = scene.record();
    database.mark("before").unwrap();
    app.execute_batch("CREATE TABLE u(a)").unwrap();
    database.rewind(&to("before"), None).unwrap();
    let cookie =
        |app: &Connection| app.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let first = cookie(&app);
    for _ in 0..3 {
        insert(&app, "x");
        database.rewind(&to("before"), None).unwrap();
        assert_eq!(cookie(&app), first);
    }
}

/// Page 1 is in the WAL: old connections and new ones must read one and the same schema.
#[test]
fn wal_page1_in_wal() {
    let scene = WalWorld::new();
    let (app, other) = (scene.connect(), scene.connect());
    app.execute_batch("CREATE TABLE kept(a)").unwrap();
    let database = scene.record();
    database.mark("before").unwrap();
    for number in 0..20 {
        app.execute_batch(&format!(
            "CREATE TABLE gone{number}(a); CREATE INDEX i{number} ON gone{number}(a)"
        ))
        .unwrap();
    }
    let count = |app: &Connection| -> i64 {
        app.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&other), 42);
    database.rewind(&to("before"), None).unwrap();
    for connection in [&app, &other, &scene.connect()] {
        assert_eq!(count(connection), 2);
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
}

/// A kill right after the rewind must not bring the abandoned transactions back.
#[test]
fn abandoned_frames_resurrect() {
    let scene = WalWorld::new();
    let app = scene.connect();
    insert(&app, "kept");
    let database = scene.record();
    database.mark("before").unwrap();
    for number in 0..5 {
        insert(&app, &format!("abandoned {number}"));
    }
    database.rewind(&to("before"), None).unwrap();
    let (_dir, survivor) = scene.after_a_kill();
    assert_eq!(rows(&survivor), ["kept"]);
}

/// Nor may they come back when the same first transaction is made again: its frame must not fit the old chain.
#[test]
fn resurrect_after_identical_replay() {
    let scene = WalWorld::new();
    let app = scene.connect();
    insert(&app, "kept");
    let database = scene.record();
    database.mark("before").unwrap();
    for _ in 0..3 {
        for number in 0..5 {
            insert(&app, &format!("number {number}"));
        }
        database.rewind(&to("before"), None).unwrap();
        insert(&app, "number 0");
        let (_dir, survivor) = scene.after_a_kill();
        assert_eq!(rows(&survivor), ["kept", "number 0"]);
        database.rewind(&to("before"), None).unwrap();
    }
}

/// Others' checkpoints are refused at once and change nothing, whatever their kind.
#[test]
fn freeze_explicit_checkpoint_busy() {
    let scene = WalWorld::new();
    let app = scene.connect();
    let database = scene.record();
    database.mark("empty").unwrap();
    insert(&app, "one");
    for kind in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] {
        let printed = scene.plain(&[&format!("PRAGMA wal_checkpoint({kind})")]);
        assert!(printed.starts_with("[(1,"), "{kind}: {printed}");
    }
    assert_eq!(database.rewind(&to("empty"), None).unwrap().method, Method::Moved);
    assert_eq!(rows(&app), Vec::<String>::new());
}

fn wal_header(scene: &WalWorld) -> Vec<u8> {
    std::fs::read(scene.wal()).unwrap()[..32].to_vec()
}

/// The WAL stops growing at about its limit, by our own checkpoint; marks are archived by that, not lost.
#[test]
fn freeze_wal_growth() {
    let scene = WalWorld::new();
    let app = scene.connect();
    insert(&app, "kept");
    let limit = 256 * 1024;
    let database = record(&scene.path(), &OpenOptions { wal_limit: limit, ..OpenOptions::default() });
    database.mark("before").unwrap();
    let digest = database.digest().unwrap();
    for round in 0..10 {
        let generation = wal_header(&scene);
        for _ in 0..40 {
            insert(&app, &"x".repeat(20_000));
        }
        until(&format!("round {round}: the WAL is begun anew"), || wal_header(&scene) != generation);
    }
    let used = std::fs::metadata(scene.wal()).unwrap().len();
    assert!(used < 12 * limit, "{used} bytes of WAL");
    assert_eq!(database.rewind(&to("before"), None).unwrap().method, Method::Written);
    assert_eq!(rows(&app), ["kept"]);
    assert_eq!(database.digest().unwrap(), digest);
}

/// A rewind that had to give up leaves everything as it was, and the WAL protected.
#[test]
fn freeze_kept_on_busy_rewind() {
    let scene = WalWorld::new();
    let (app, writer) = (scene.connect(), scene.connect());
    let database = scene.record();
    database.mark("empty").unwrap();
    insert(&app, "one");
    writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t(x) VALUES('two')").unwrap();
    let error = database.rewind(&to("empty"), Some(Duration::from_millis(5))).unwrap_err();
    assert_eq!(error.code(), Code::Busy);
    assert!(error.to_string().contains("open write transaction"), "{error}");
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&app), ["one", "two"]);
    let printed = scene.plain(&["PRAGMA wal_checkpoint(TRUNCATE)", "SELECT x FROM t"]);
    assert_eq!(printed, "[(1, -1, -1)]\n[('one',), ('two',)]\n");
    assert_eq!(database.rewind(&to("empty"), None).unwrap().method, Method::Moved);
}

/// A database whose WAL does not exist yet is frozen as well.
#[test]
fn freeze_without_wal_file() {
    let scene = WalWorld::new();
    assert!(!scene.wal().exists(), "the last connection removes it");
    let database = scene.record();
    database.mark("empty").unwrap();
    scene.plain(&["INSERT INTO t(x) VALUES('one')", "PRAGMA wal_checkpoint(TRUNCATE)"]);
    assert_eq!(database.rewind(&to("empty"), None).unwrap().method, Method::Moved);
    assert_eq!(rows(&scene.connect()), Vec::<String>::new());
}

/// The last connection to close does not take the WAL away.
#[test]
fn wal_deleted_on_close() {
    let scene = WalWorld::new();
    let database = scene.record();
    database.mark("empty").unwrap();
    for number in 0..3 {
        scene.plain(&[&format!("INSERT INTO t(x) VALUES('{number}')")]);
        assert!(scene.wal().exists());
    }
    assert_eq!(database.rewind(&to("empty"), None).unwrap().method, Method::Moved);
    assert_eq!(scene.plain(&["SELECT count(*) FROM t"]), "[(0,)]\n");
}

/// The change counter in page 1 of what a kill would leave.
fn counter(scene: &WalWorld) -> u32 {
    let (dir, survivor) = scene.after_a_kill();
    survivor.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(survivor);
    let bytes = std::fs::read(dir.path().join("app.db")).unwrap();
    u32::from_be_bytes(bytes[24..28].try_into().unwrap())
}

/// No change counter is ever used twice, also after the recording was opened again.
#[test]
fn counter_maxima_persist() {
    let scene = WalWorld::new();
    let app = scene.connect();
    let mut highest = 0;
    for round in 0..3 {
        let database = scene.record();
        let name = format!("round {round}");
        database.mark(&name).unwrap();
        for _ in 0..5 {
            app.execute_batch("CREATE TABLE IF NOT EXISTS u(a); DROP TABLE u").unwrap();
            highest = highest.max(counter(&scene));
            database.rewind(&to(&name), None).unwrap();
            let now = counter(&scene);
            assert!(now > highest, "{now} after {highest}");
            highest = now;
        }
    }
}

/// Two recoveries of a WAL leave headers with equal varying fields: a cache that is older must notice even so.
#[test]
fn wal_recovered_empty_header() {
    let scene = WalWorld::new();
    let app = scene.connect();
    let database = scene.record();
    database.mark("empty").unwrap();
    for _ in 0..3 {
        insert(&app, "one");
        assert_eq!(rows(&app), ["one"]);
        forget_header(&scene);
        database.rewind(&to("empty"), None).unwrap();
        forget_header(&scene);
        assert_eq!(rows(&app), Vec::<String>::new());
    }
}

/// Leaves the wal-index header as a writer does that is killed while it publishes. From another process, since
/// closing the `-shm` file in this one would drop its locks.
fn forget_header(scene: &WalWorld) {
    let program =
        "import sys\nwith open(sys.argv[1] + '-shm', 'r+b') as f:\n f.seek(40); f.write(b'garbage!')";
    let run = Command::new("python3").args(["-c", program]).arg(scene.path()).status().unwrap();
    assert!(run.success());
}

/// A writer that died while publishing: SQLite can recover although we hold CKPT, and marks stay hot.
#[test]
fn writer_killed_while_publishing() {
    let scene = WalWorld::new();
    let app = scene.connect();
    app.busy_timeout(Duration::from_secs(10)).unwrap();
    let database = scene.record();
    database.mark("empty").unwrap();
    insert(&app, "one");
    forget_header(&scene);
    assert_eq!(rows(&app), ["one"]);
    insert(&app, "two");
    assert_eq!(database.rewind(&to("empty"), None).unwrap().method, Method::Moved);
    assert_eq!(rows(&app), Vec::<String>::new());
}

#[test]
#[ignore = "run by freeze_owner_killed and second_process_rewinds_and_takes_over"]
fn child_records_marks_and_commits() {
    let path = child::path();
    let database = record(&path, &OpenOptions::default());
    database.mark("child's").unwrap();
    let app = Connection::open(&path).unwrap();
    insert(&app, "of the child");
    database.drain().unwrap();
    // Until the times of the file are old enough for the anchor to count.
    std::thread::sleep(Duration::from_millis(400));
    child::wait_for_the_kill();
}

/// The holder is killed and others go on: its marks are kept if nothing was back-filled, else refused.
#[test]
fn freeze_owner_killed() {
    for checkpoint in [None, Some("PRAGMA wal_checkpoint(PASSIVE)"), Some("PRAGMA wal_checkpoint(TRUNCATE)")]
    {
        let scene = WalWorld::new();
        let app = scene.connect();
        insert(&app, "seed");
        let child = child::start("child_records_marks_and_commits", &scene.path());
        child::kill(child);
        insert(&app, "after the kill");
        if let Some(checkpoint) = checkpoint {
            app.query_row(checkpoint, [], |_| Ok(())).unwrap();
        }
        let before = rows(&app);
        let database = scene.record();
        let result = database.rewind(&to("child's"), None);
        if checkpoint.is_some() {
            assert_eq!(result.unwrap_err().code(), Code::MarkLost, "{checkpoint:?}");
            assert_eq!(rows(&app), before);
            assert_eq!(database.marks().unwrap()[0].state, MarkState::Lost);
        } else {
            assert_eq!(result.unwrap().method, Method::Moved);
            assert_eq!(rows(&app), ["seed"]);
        }
    }
}

/// While another process holds, this one marks and rewinds too; when it dies, this one takes over.
#[test]
fn second_process_rewinds_and_takes_over() {
    let scene = WalWorld::new();
    let app = scene.connect();
    insert(&app, "seed");
    let child = child::start("child_records_marks_and_commits", &scene.path());
    let database = scene.record();
    database.mark("ours").unwrap();
    insert(&app, "more");
    database.rewind(&to("child's"), None).unwrap();
    assert_eq!(rows(&app), ["seed"]);
    database.rewind(&to("ours"), None).unwrap();
    assert_eq!(rows(&app), ["seed", "of the child"]);
    child::kill(child);
    insert(&app, "alone");
    // As holder the rewind is by moving again.
    until("taking over", || {
        insert(&app, "once more");
        database.rewind(&to("ours"), None).unwrap().method == Method::Moved
    });
    assert_eq!(rows(&app), ["seed", "of the child"]);
}
