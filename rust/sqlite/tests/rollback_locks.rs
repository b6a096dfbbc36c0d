//! Locks: waiting, giving up, naming who is in the way, and disturbing nobody.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Code, Error, Target};
use support::World;

const SHORT: Option<Duration> = Some(Duration::from_millis(200));

fn busy_text(error: &Error) -> String {
    assert_eq!(error.code(), Code::Busy, "{error}");
    error.to_string()
}

/// A rewind that waits for one reader lets no new ones in, or a stream of them would starve it.
#[test]
fn pending_kept() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..300);
    db.mark("m").unwrap();
    world.fill(&c, 300..310);
    drop(c);
    std::thread::scope(|scope| {
        let reader = world.connect();
        let newcomer = world.connect();
        newcomer.busy_timeout(Duration::ZERO).unwrap();
        let mut statement = reader.prepare("select id from t").unwrap();
        let mut rows = statement.query([]).unwrap();
        rows.next().unwrap();
        let rewind = scope.spawn(|| db.rewind(&Target::from("m"), Some(Duration::from_secs(60))));
        let may_read = || newcomer.query_row("select id from t", [], |_| Ok(())).is_ok();
        while may_read() {
            std::thread::yield_now();
        }
        // It tries again every 2 ms at the most; 100 ms cover many tries.
        for _ in 0..100 {
            assert!(!may_read(), "let in between two tries");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(rows);
        drop(statement);
        rewind.join().unwrap().unwrap();
        assert!(may_read());
        assert_eq!(world.count(&reader), 300);
    });
}

/// Readers come and go all the time; every rewind gets its turn, and every reader sees one state.
#[test]
fn readers_stream_past() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..300);
    db.mark("m").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let reader = world.connect();
                while !stop.load(Ordering::Relaxed) {
                    let sum: i64 =
                        reader.query_row("select sum(length(v)) from t", [], |row| row.get(0)).unwrap();
                    assert!(sum == 300 * 300 || sum == 310 * 300, "{sum}");
                }
            });
        }
        for round in 0..30 {
            world.fill(&c, 300 + round * 10..310 + round * 10);
            db.rewind(&Target::from("m"), None).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(world.count(&c), 300);
    world.check(&c);
}

/// A half-read statement of the calling thread cannot finish while the thread waits: no use in waiting.
#[test]
fn busy_own_thread() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..300);
    db.mark("m").unwrap();
    world.fill(&c, 300..400);
    let mut statement = c.prepare("select id from t").unwrap();
    let mut rows = statement.query([]).unwrap();
    rows.next().unwrap();
    let hour = Some(Duration::from_secs(3600));
    let text = busy_text(&db.rewind(&Target::from("m"), hour).unwrap_err());
    assert!(text.contains("a connection of this thread is reading (statement: select id from t)"), "{text}");
    drop(rows);
    drop(statement);
    c.execute_batch("begin immediate").unwrap();
    let text = busy_text(&db.rewind(&Target::from("m"), hour).unwrap_err());
    assert!(text.contains("a connection of this thread has an open write transaction"), "{text}");
    c.execute_batch("insert into t values (1000, 'x')").unwrap();
    assert_eq!(db.mark("during").unwrap().pages, db.mark("again").unwrap().pages);
    c.execute_batch("commit").unwrap();
    db.rewind(&Target::from("during"), hour).unwrap();
    assert_eq!(world.count(&c), 400);
    db.rewind(&Target::from("m"), hour).unwrap();
    assert_eq!(world.count(&c), 300);
}

/// A connection that nobody uses any more still holds its lock; the error says where to look.
#[test]
fn zombie_connection() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..300);
    db.mark("m").unwrap();
    world.fill(&c, 300..400);
    let (held, done) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // As Python opens it; one without a mutex cannot be looked at from another thread.
            let flags =
                rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_FULL_MUTEX;
            let other =
                rusqlite::Connection::open_with_flags_and_vfs(world.path(), flags, c"dbrewind").unwrap();
            let mut statement = other.prepare("select id from t").unwrap();
            let mut rows = statement.query([]).unwrap();
            rows.next().unwrap();
            held.wait();
            done.wait();
        });
        held.wait();
        let refused = db.rewind(&Target::from("m"), SHORT);
        done.wait();
        let text = busy_text(&refused.unwrap_err());
        let whole = "another connection of this process is reading (statement: select id from t)";
        assert!(text.contains(whole), "{text}");
    });
    assert_eq!(world.count(&c), 400);
    db.rewind(&Target::from("m"), None).unwrap();
}

/// Another process is named by pid and program, whatever it does.
#[test]
fn busy_names_the_process() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..10);
    db.mark("m").unwrap();
    world.fill(&c, 10..20);
    let mut shell = world.shell();
    let doings = [
        ("begin immediate;", "has an open write transaction", "rollback;"),
        ("begin; select count(*) from t;", "is reading", "rollback;"),
        (
            "pragma locking_mode = exclusive; begin exclusive; rollback; select count(*) from t;",
            "",
            "pragma locking_mode = normal; select 1 from t limit 1;",
        ),
    ];
    for (begin, what, end) in doings {
        shell.run(begin);
        let text = busy_text(&db.rewind(&Target::from("m"), SHORT).unwrap_err());
        let who = format!("process {} (sqlite3)", shell.pid());
        assert!(text.contains(&who) && text.contains(what), "{text}");
        shell.run(end);
    }
    db.rewind(&Target::from("m"), None).unwrap();
    assert_eq!(shell.run("select count(*) from t;"), "10");
}

/// The shim does not see a connection from before it, and the kernel does not tell its locks from ours.
#[test]
fn busy_names_a_connection_from_before() {
    let world = World::new("delete", 4096);
    let old = world.connect_by("unix");
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..10);
    db.mark("m").unwrap();
    world.fill(&c, 10..20);
    let from_before = "a connection of this process from before the recording";
    let text = |db: &dbrewind_sqlite::Database| busy_text(&db.rewind(&Target::from("m"), SHORT).unwrap_err());
    for (begin, what) in [
        ("begin; select count(*) from t", "is reading"),
        ("begin immediate", "has an open write transaction"),
    ] {
        old.execute_batch(begin).unwrap();
        let told = text(&db);
        assert!(told.contains(&format!("{from_before} {what}")), "{told}");
        // A reader elsewhere is not all that is in the way of a writer.
        let mut shell = world.shell();
        shell.run("begin; select count(*) from t;");
        let told = text(&db);
        assert!(told.contains("(sqlite3) is reading"), "{told}");
        assert_eq!(told.contains(from_before), what != "is reading", "{told}");
        old.execute_batch("rollback").unwrap();
        // It has the file open still, but is not in the way.
        let told = text(&db);
        assert!(!told.contains("this process"), "{told}");
        drop(shell);
    }
    db.rewind(&Target::from("m"), None).unwrap();
    assert_eq!(world.count(&c), 10);
}

/// Opening and closing the file by path would drop SQLite's locks on it: nothing here may do that.
#[test]
fn posix_lock_trap() {
    let world = World::new("delete", 4096);
    let c = world.connect();
    world.fill(&c, 0..10);
    c.execute_batch("begin immediate").unwrap();
    let mut shell = world.shell();
    let locked = |shell: &mut support::Shell| {
        shell.run(".bail off");
        // The shell prints nothing for the refused statement, then the file's count.
        shell.run("begin immediate; select 'not locked'; rollback;").contains("not locked")
    };
    assert!(!locked(&mut shell));
    let db = world.record();
    assert!(!locked(&mut shell), "open");
    db.mark("m").unwrap();
    db.digest().unwrap();
    db.now().unwrap();
    db.dirty_since(&Target::from("m")).unwrap();
    assert!(!locked(&mut shell), "mark, digest, now");
    db.rewind(&Target::from("m"), SHORT).unwrap_err();
    assert!(!locked(&mut shell), "refused rewind");
    db.close().unwrap();
    drop(db);
    assert!(!locked(&mut shell), "close");
    c.execute_batch("commit").unwrap();
    assert!(locked(&mut shell));
}

/// A dead writer's journal belongs to SQLite: it is played back first, then the rewind happens.
#[test]
fn hot_journal_at_rewind() {
    for mode in ["delete", "truncate", "persist"] {
        let world = World::new(mode, 1024);
        let db = world.record();
        let c = world.connect();
        world.fill(&c, 0..100);
        db.mark("m").unwrap();
        world.fill(&c, 100..150);
        let committed = db.digest().unwrap();
        let mut shell = world.shell();
        shell.run(&format!("pragma journal_mode = {mode}; pragma cache_size = 5; pragma cache_spill = 1;"));
        shell.run("begin; update t set v = 'half'; select 1;");
        shell.kill();
        assert!(dbrewind_journal_is_hot(&world), "{mode}: the writer has not written yet");
        let back = db.rewind(&Target::from("m"), None).unwrap();
        assert_eq!(world.count(&c), 100, "{mode}");
        world.check(&c);
        db.rewind(&Target::from(back.undo), None).unwrap();
        assert_eq!(db.digest().unwrap(), committed, "{mode}");
        let mut shell = world.shell();
        shell.run(&format!("pragma journal_mode = {mode}; pragma cache_size = 5;"));
        shell.run("begin; update t set v = 'half'; select 1;");
        shell.kill();
        db.mark("after the kill").unwrap();
        assert_eq!(db.digest().unwrap(), committed, "{mode}");
        world.check(&c);
    }
}

fn dbrewind_journal_is_hot(world: &World) -> bool {
    std::fs::read(world.dir.path().join("a.db-journal")).unwrap().first().is_some_and(|byte| *byte != 0)
}

/// Two handles, in two threads: rewinds come one after the other.
#[test]
fn rewinds_are_serialised() {
    let world = World::new("delete", 4096);
    let (one, two) = (world.record(), world.record());
    let c = world.connect();
    world.fill(&c, 0..50);
    one.mark("a").unwrap();
    world.fill(&c, 50..100);
    two.mark("b").unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|_| assert!(one.rewind(&Target::from("a"), None).is_ok())));
        scope.spawn(|| (0..50).for_each(|_| assert!(two.rewind(&Target::from("b"), None).is_ok())));
    });
    assert!(started.elapsed() < Duration::from_secs(60));
    one.rewind(&Target::from("a"), None).unwrap();
    assert_eq!(world.count(&c), 50);
    // The second handle goes on recording when the first is closed.
    one.close().unwrap();
    world.fill(&c, 200..300);
    two.rewind(&Target::from("a"), None).unwrap();
    assert_eq!(world.count(&c), 50);
    world.check(&c);
}
