//! Who wrote: the records of the rollback modes say it, and in WAL mode who was connected. Never more than that.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers")]

mod support;

use std::time::Duration;

use dbrewind_core::{Cursor, Kind, Store, StoreOptions};
use dbrewind_sqlite::{Code, Database, OpenOptions, SqliteApi, Synchronous, Target, Writer};
use rusqlite::Connection;
use support::{World, child};

fn since(db: &Database, mark: &str) -> Vec<Writer> {
    db.writers(&Target::from(mark)).unwrap()
}

fn thread() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
#[ignore = "run by a_process_that_has_ended_is_named"]
fn child_commits() {
    let path = child::path();
    let options = OpenOptions { journal: None, synchronous: Synchronous::Off, ..OpenOptions::default() };
    let _db = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
    let c = Connection::open(&path).unwrap();
    c.busy_timeout(Duration::from_secs(30)).unwrap();
    for id in 0..2 {
        c.execute("insert into t values (?1, 'child')", [100 + i64::from(std::process::id()) * 10 + id])
            .unwrap();
    }
    child::wait_for_the_kill();
}

/// In the modes that leave a journal: the record says who it was when nobody can be asked any more.
#[test]
fn a_process_that_has_ended_is_named() {
    for mode in ["delete", "truncate", "persist"] {
        let world = World::new(mode, 4096);
        let db = world.record();
        let c = world.connect();
        db.mark("m").unwrap();
        let (first, second) =
            (child::start("child_commits", &world.path()), child::start("child_commits", &world.path()));
        let pids = [second.id(), first.id()];
        let running = since(&db, "m");
        assert!(running.iter().all(|writer| writer.runs == Some(true) && writer.thread_runs), "{running:?}");
        child::kill(first);
        child::kill(second);
        let found = since(&db, "m");
        assert_eq!(found.iter().map(|writer| writer.pid).collect::<Vec<_>>(), pids, "{mode}");
        for writer in &found {
            assert_eq!((writer.runs, writer.thread_runs, writer.commits), (Some(false), false, 2), "{mode}");
            // `writers-<hash>`, of which the system keeps 15 characters.
            assert!(writer.program.starts_with("writers-"), "{writer:?}");
        }
        world.fill(&c, 0..1);
        assert_eq!(since(&db, "m")[0].pid, std::process::id());
        // What they wrote is gone.
        db.rewind(&Target::from("m"), None).unwrap();
        assert_eq!(since(&db, "m"), []);
    }
}

#[test]
fn each_thread_is_named_with_what_it_has_committed() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    db.mark("m").unwrap();
    world.fill(&c, 0..10);
    let other = std::thread::scope(|scope| {
        let run = || {
            let c = world.connect();
            world.fill(&c, 10..20);
            world.fill(&c, 20..30);
            thread()
        };
        scope.spawn(run).join().unwrap()
    });
    // The system takes its time.
    while std::path::Path::new(&format!("/proc/self/task/{other}")).exists() {
        std::thread::yield_now();
    }
    world.fill(&c, 30..40);
    let found: Vec<_> = since(&db, "m")
        .into_iter()
        .map(|writer| {
            assert_eq!((writer.pid, writer.runs), (std::process::id(), Some(true)));
            (writer.thread, writer.thread_runs, writer.commits)
        })
        .collect();
    assert_eq!(found, [(Some(thread()), true, 2), (Some(other), false, 2)]);
}

/// What a rewind took back has no writers, and what comes after it has its own.
#[test]
fn what_was_rewound_is_left_out() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    db.mark("m").unwrap();
    world.fill(&c, 0..10);
    let undo = db.rewind(&Target::from("m"), None).unwrap().undo;
    assert_eq!(since(&db, "m"), []);
    std::thread::scope(|scope| {
        let run = || {
            world.fill(&world.connect(), 10..20);
        };
        scope.spawn(run).join().unwrap();
    });
    let found = since(&db, "m");
    assert!(found.len() == 1 && found[0].thread != Some(thread()), "{found:?}");
    db.rewind(&undo.into(), None).unwrap();
    let found = since(&db, "m");
    assert!(found.len() == 1 && found[0].thread == Some(thread()), "{found:?}");
}

/// Who goes past the recording is in no record, and nobody else is taken for it.
#[test]
fn a_writer_without_the_shim_is_never_named() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    db.mark("m").unwrap();
    world.fill(&c, 0..10);
    let mut shell = world.shell();
    shell.run("insert into t values (1000, 'foreign');");
    assert_eq!(db.writers(&Target::from("m")).unwrap_err().code(), Code::NotAttached);
    db.mark("n").unwrap();
    assert_eq!(since(&db, "n"), []);
    world.fill(&c, 10..20);
    let found = since(&db, "n");
    assert!(found.len() == 1 && found[0].pid == std::process::id(), "{found:?}");
}

/// A process says who it is once an era, not once a commit.
#[test]
fn a_process_introduces_itself_once() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    for id in 0..20 {
        world.fill(&c, id..id + 1);
    }
    db.close().unwrap();
    let store = Store::open(&world.store(), &StoreOptions::default()).unwrap();
    let (mut notes, mut commits) = (0, 0);
    store
        .scan(&mut Cursor::default(), &mut |head, _, _| {
            notes += u32::from(head.kind == Kind::Note && head.key.get() == 6);
            commits += u32::from(head.kind == Kind::Commit);
        })
        .unwrap();
    assert_eq!((notes, commits), (1, 20));
}

/// Nothing says who wrote in WAL mode: who was connected meanwhile is told as that, and only if somebody had asked for it.
#[test]
fn in_wal_mode_a_process_that_has_ended_was_connected() {
    for asked in [true, false] {
        let world = World::new("wal", 4096);
        let c = world.connect_by("unix");
        let db = world.record();
        db.remember_connected(asked).unwrap();
        db.mark("m").unwrap();
        let mut shell = world.shell();
        shell.run("insert into t values (1000, 'foreign');");
        let mut found = since(&db, "m");
        // One look may overlook it, and each commit is followed by one.
        for turn in 0..60_000 {
            if !asked || !found.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            if turn % 100 == 99 {
                shell.run("update t set v = 'foreign' where id = 1000;");
            }
            found = since(&db, "m");
        }
        // A connection of this process does not make it a suspect.
        assert_eq!(world.count(&c), 1);
        let pid = shell.pid();
        shell.kill();
        let found = since(&db, "m");
        if !asked {
            assert_eq!(found, []);
            continue;
        }
        let [writer] = &found[..] else { panic!("{found:?}") };
        let told = (writer.pid, writer.runs, writer.thread, writer.thread_runs, writer.commits);
        assert_eq!(told, (pid, Some(false), None, false, 0));
        assert!(writer.program.starts_with("sqlite3 "), "{writer:?}");
        db.rewind(&Target::from("m"), None).unwrap();
        assert_eq!(since(&db, "m"), []);
        // Long after it had ended.
        world.fill(&c, 0..1);
        db.drain().unwrap();
        assert_eq!(since(&db, "m"), []);
        db.remember_connected(false).unwrap();
        db.close().unwrap();
        assert_eq!(db.remember_connected(true).unwrap_err().code(), Code::Closed);
    }
}
