//! A quick yes to "is it still as it was?" is always right; the long way tells after a no.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dbrewind_sqlite::{Code, Database, Position, Target};
use rusqlite::Connection;
use support::{MODES, World};

/// A recorded database with rows, and a connection, in each journal mode.
fn each_mode(test: impl Fn(&World, &Database, &Connection)) {
    for mode in MODES.into_iter().chain(["wal"]) {
        let world = World::new(mode, 4096);
        let c = world.connect_by("unix");
        world.fill(&c, 0..10);
        let db = world.record();
        // In a rollback mode a connection from before the recording goes past it.
        let c = if mode == "wal" { c } else { world.connect() };
        test(&world, &db, &c);
    }
}

fn answers(db: &Database, position: Position) -> (bool, bool) {
    let is_at = db.is_at(position).unwrap();
    assert!(is_at || !db.glance(position));
    assert!(!is_at || seen_at_a_glance(db, position), "not in a thousand glances");
    (is_at, db.rests_at(position).unwrap())
}

/// Our own thread may be in the way of one glance.
fn seen_at_a_glance(db: &Database, position: Position) -> bool {
    (0..1000).any(|_| {
        db.glance(position) || {
            std::thread::sleep(Duration::from_millis(1));
            false
        }
    })
}

const AT_REST: (bool, bool) = (true, true);
const BUSY: (bool, bool) = (true, false);
const AWAY: (bool, bool) = (false, false);

#[test]
fn it_stands_where_it_stood_until_somebody_commits_or_rewinds() {
    each_mode(|world, db, c| {
        db.mark("m").unwrap();
        let at = db.position().unwrap();
        assert_eq!(answers(db, at), AT_REST, "{}", world.mode);
        assert_eq!(world.count(c), 10);
        assert_eq!(db.position().unwrap(), at);
        world.fill(c, 10..20);
        assert_eq!(answers(db, at), AWAY, "{}: a commit", world.mode);
        let there = db.position().unwrap();
        assert!(there.lsn > at.lsn);
        assert_eq!(answers(db, there), AT_REST, "{}", world.mode);
        db.rewind(&Target::from("m"), None).unwrap();
        assert_eq!(answers(db, there), AWAY, "{}: a rewind", world.mode);
        assert_eq!(answers(db, at), AWAY, "{}: the same state, but another moment", world.mode);
        let back = db.position().unwrap();
        assert!(back.lsn > there.lsn);
        assert_eq!(answers(db, back), AT_REST, "{}", world.mode);
        c.execute_batch("begin; delete from t; rollback").unwrap();
        // Without a journal nobody can roll back: that is a change.
        assert!(world.mode == "off" || db.is_at(back).unwrap(), "{}: rolled back", world.mode);
    });
}

#[test]
fn a_mark_that_is_set_or_dropped_shows_also_by_another_handle() {
    each_mode(|world, db, _c| {
        let at = db.position().unwrap();
        db.mark("m").unwrap();
        assert_eq!(answers(db, at), AWAY, "{}: set", world.mode);
        let at = db.position().unwrap();
        assert_eq!(answers(db, at), AT_REST);
        let other = world.record();
        other.mark("n").unwrap();
        assert_eq!(answers(db, at), AWAY, "{}: set by another", world.mode);
        let at = db.position().unwrap();
        other.drop_mark("m").unwrap();
        assert_eq!(answers(db, at), AWAY, "{}: dropped by another", world.mode);
        let at = db.position().unwrap();
        db.drop_mark("n").unwrap();
        db.mark("n").unwrap();
        assert_eq!(answers(db, at), AWAY, "{}: as many as before", world.mode);
    });
}

#[test]
fn a_transaction_that_would_keep_a_rewind_waiting_is_no_rest() {
    each_mode(|world, db, c| {
        let at = db.position().unwrap();
        c.execute_batch("begin immediate").unwrap();
        assert_eq!(answers(db, at), BUSY, "{}: about to write", world.mode);
        c.execute_batch("rollback").unwrap();
        assert_eq!(answers(db, at), AT_REST, "{}", world.mode);
        c.execute_batch("begin").unwrap();
        assert_eq!(world.count(c), 10);
        // In WAL mode a rewind does not wait for readers.
        assert_eq!(
            answers(db, at),
            if world.mode == "wal" { AT_REST } else { BUSY },
            "{}: reads",
            world.mode
        );
        c.execute_batch("commit").unwrap();
        assert_eq!(answers(db, at), AT_REST, "{}", world.mode);
        // It has left no lock.
        world.fill(c, 10..20);
        assert_eq!(answers(db, at), AWAY);
    });
}

#[test]
fn a_rewind_says_where_it_has_led() {
    each_mode(|world, db, c| {
        let to = Target::from("m");
        db.mark("m").unwrap();
        world.fill(c, 10..20);
        let led = db.rewind(&to, None).unwrap().position.unwrap();
        assert_eq!(Some(led), db.position_at(&to).unwrap(), "{}", world.mode);
        assert_eq!(answers(db, led), AT_REST, "{}", world.mode);
        assert_eq!(db.rewind(&to, None).unwrap().position, Some(led), "{}: nothing to do", world.mode);
        let other = world.record();
        other.mark("n").unwrap();
        let marked = db.rewind(&to, None).unwrap().position.unwrap();
        assert_eq!(Some(marked), db.position_at(&to).unwrap(), "{}", world.mode);
        assert_ne!(marked.mark_changes, led.mark_changes, "{}", world.mode);
        world.fill(c, 20..30);
        other.rewind(&to, None).unwrap();
        assert_eq!(answers(db, marked), AWAY, "{}: another's rewind", world.mode);
    });
}

#[test]
fn what_has_passed_shows_without_a_look_at_the_files() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..10);
    let at = db.position().unwrap();
    world.fill(&c, 10..20);
    let aside = world.dir.path().join("aside");
    std::fs::rename(world.store(), &aside).unwrap();
    assert!(!db.rests_at(at).unwrap());
    std::fs::rename(&aside, world.store()).unwrap();
    assert_eq!(answers(&db, db.position().unwrap()), AT_REST);
}

#[test]
fn who_writes_in_another_process_shows() {
    let world = World::new("wal", 4096);
    let c = world.connect_by("unix");
    let db = world.record();
    world.fill(&c, 0..10);
    let at = db.position().unwrap();
    let mut shell = world.shell();
    shell.run("begin immediate;");
    assert_eq!(answers(&db, at), BUSY);
    shell.run("delete from t;");
    assert_eq!(answers(&db, at), BUSY);
    shell.run("commit;");
    assert_eq!(answers(&db, at), AWAY);
}

#[test]
fn an_unrecorded_write_is_never_taken_for_none() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..10);
    let at = db.position().unwrap();
    let mut shell = world.shell();
    shell.run("begin immediate;");
    assert_eq!(answers(&db, at), BUSY);
    shell.run("delete from t;");
    assert_eq!(answers(&db, at), BUSY, "not committed");
    shell.run("rollback;");
    assert_eq!(answers(&db, at), AT_REST);
    shell.run("delete from t;");
    assert_eq!(answers(&db, at), AWAY);
    assert_eq!(db.position().unwrap_err().code(), Code::NotAttached);
}

/// What a writer that died in the middle left in the file is not looked at as if it were whole.
#[test]
fn a_hot_journal_is_no_change_once_it_is_played_back() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..200);
    let at = db.position().unwrap();
    let mut shell = world.shell();
    shell.run("pragma cache_size = 1; pragma cache_spill = 1; begin immediate; update t set v = 'x' || v;");
    shell.kill();
    let _ = answers(&db, at);
    assert_eq!(world.count(&c), 200);
    assert_eq!(answers(&db, at), AT_REST);
}

#[test]
fn file_or_store_that_are_gone_are_no_rest() {
    each_mode(|world, db, _c| {
        let at = db.position().unwrap();
        let (path, aside) = (world.path(), world.dir.path().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        assert_eq!(db.is_at(at).unwrap_err().code(), Code::FileReplaced, "{}", world.mode);
        std::fs::copy(&aside, &path).unwrap();
        assert_eq!(db.rests_at(at).unwrap_err().code(), Code::FileReplaced, "{}", world.mode);
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(answers(db, at), AT_REST, "{}", world.mode);
        std::fs::rename(world.store(), &aside).unwrap();
        assert_eq!(db.rests_at(at).unwrap_err().code(), Code::StoreDamaged, "{}", world.mode);
        std::fs::rename(&aside, world.store()).unwrap();
        assert_eq!(answers(db, at), AT_REST, "{}", world.mode);
    });
}

/// Ends the other thread also when this one fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A commit that had ended before the question is never overlooked, whoever else writes.
#[test]
fn what_was_committed_before_the_question_is_seen() {
    each_mode(|world, db, c| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = Stops(&stop);
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let at = db.position().unwrap();
                    let _ = (db.is_at(at).unwrap(), db.rests_at(at).unwrap(), db.glance(at));
                }
            });
            for round in 1..100 {
                let at = db.position().unwrap();
                world.fill(c, round * 10..round * 10 + 1);
                assert_eq!(answers(db, at), AWAY, "{}", world.mode);
            }
        });
        world.check(c);
    });
}
