//! Waits that the caller ends: nothing has changed, no lock is kept, and the next call goes through.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Code, Database, Error, Target, interruptible};
use support::World;

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

/// A recorded world with a mark `m` at 100 rows, and 10 more.
fn world(mode: &str) -> (World, Database) {
    let world = World::new(mode, 4096);
    if mode == "wal" {
        world.plain("pragma journal_mode = wal");
    }
    let db = world.record();
    let c = world.connect_by(if mode == "wal" { "unix" } else { "dbrewind" });
    world.fill(&c, 0..100);
    db.mark("m").unwrap();
    world.fill(&c, 100..110);
    (world, db)
}

/// Runs a call that would wait for an hour, and interrupts it.
fn interrupted<T>(call: impl FnOnce() -> Result<T, Error>) -> Error {
    let started = Instant::now();
    let error = interruptible(|| true, call).err().unwrap();
    assert_eq!(error.code(), Code::Interrupted, "{error}");
    assert!(started.elapsed() < Duration::from_secs(600));
    error
}

#[test]
fn a_rewind_behind_a_writer() {
    for mode in ["delete", "wal"] {
        let (world, db) = world(mode);
        let mut shell = world.shell();
        shell.run("begin immediate;");
        let before = db.digest().unwrap();
        interrupted(|| db.rewind(&"m".into(), HOUR));
        assert_eq!(db.digest().unwrap(), before);
        // The writer was not disturbed, and may go on: no lock of ours is left.
        shell.run("insert into t values (1000, 'x'); commit;");
        assert_eq!(shell.run("select count(*) from t;"), "111");
        if mode == "wal" {
            db.rewind(&"m".into(), None).unwrap();
            assert_eq!(shell.run("select count(*) from t;"), "100");
        }
    }
}

#[test]
fn a_rewind_behind_a_reader_gives_pending_back() {
    let (world, db) = world("delete");
    let mut shell = world.shell();
    shell.run("begin; select count(*) from t;");
    interrupted(|| db.rewind(&"m".into(), HOUR));
    assert_eq!(world.plain("select count(*) from t"), "110", "new readers are let in again");
    shell.run("commit;");
    db.rewind(&"m".into(), None).unwrap();
    assert_eq!(shell.run("select count(*) from t;"), "100");
}

/// PENDING is kept while the question is asked, too: a stream of readers must not starve the rewind.
#[test]
fn pending_is_kept_while_asking() {
    let (world, db) = world("delete");
    let mut shell = world.shell();
    shell.run("begin; select count(*) from t;");
    let newcomer = world.connect();
    newcomer.busy_timeout(Duration::ZERO).unwrap();
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    let stop = move || {
        let refused = newcomer.query_row("select id from t", [], |_| Ok(())).is_err();
        assert!(refused, "let in between two tries");
        count.set(count.get() + 1);
        count.get() == 3
    };
    let error = interruptible(stop, || db.rewind(&"m".into(), HOUR)).unwrap_err();
    assert_eq!((error.code(), asked.get()), (Code::Interrupted, 3));
}

#[test]
fn opening_behind_an_exclusive_lock() {
    for mode in ["delete", "wal"] {
        let world = World::new("delete", 4096);
        if mode == "wal" {
            world.plain("pragma journal_mode = wal");
        }
        let mut shell = world.shell();
        shell.run("pragma locking_mode = exclusive; begin exclusive; insert into t values (1, 'x');");
        let options = dbrewind_sqlite::OpenOptions { timeout: Duration::from_secs(3600), ..world.options() };
        let api = dbrewind_sqlite::SqliteApi::bundled();
        interrupted(|| Database::open(api, &world.path(), &options));
        drop(shell);
        world.record().mark("m").unwrap();
    }
}

/// SQLite itself waits here: recording begins with a frame in the WAL.
#[test]
fn opening_behind_a_writer_in_wal_mode() {
    let world = World::new("delete", 4096);
    world.plain("pragma journal_mode = wal");
    let mut shell = world.shell();
    shell.run("begin immediate;");
    let options = dbrewind_sqlite::OpenOptions { timeout: Duration::from_secs(3600), ..world.options() };
    let api = dbrewind_sqlite::SqliteApi::bundled();
    interrupted(|| Database::open(api, &world.path(), &options));
    drop(shell);
    world.record().mark("m").unwrap();
}

/// A call waits for another thread's call on the same handle.
#[test]
fn a_call_behind_another_thread() {
    for mode in ["delete", "wal"] {
        let (world, db) = world(mode);
        let mut shell = world.shell();
        shell.run("begin immediate;");
        let begun = Barrier::new(2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                begun.wait();
                db.rewind(&"m".into(), HOUR)
            });
            begun.wait();
            // Until the other thread has the handle.
            while db_is_free(&db) {
                std::thread::yield_now();
            }
            interrupted(|| db.marks());
            shell.run("rollback;");
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(shell.run("select count(*) from t;"), "100");
    }
}

fn db_is_free(db: &Database) -> bool {
    interruptible(|| true, || db.now()).is_ok()
}

/// What a signal handler does: it may call the very handle that waits.
#[test]
fn a_call_inside_the_question_is_refused() {
    let (world, db) = world("wal");
    let db = Rc::new(db);
    let mut shell = world.shell();
    shell.run("begin immediate;");
    let same = Rc::clone(&db);
    let stop = move || {
        assert_eq!(same.mark("inside").unwrap_err().code(), Code::Busy);
        assert_eq!(same.close().unwrap_err().code(), Code::Busy);
        true
    };
    let error = interruptible(stop, || db.rewind(&"m".into(), HOUR)).unwrap_err();
    assert_eq!(error.code(), Code::Interrupted);
    shell.run("rollback;");
    db.rewind(&Target::from("m"), None).unwrap();
    // Nothing of it is closed.
    db.at(&"m".into()).unwrap().digest().unwrap();
}
