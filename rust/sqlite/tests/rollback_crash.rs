//! Kills at every call on the database file, during a rewind and during an application's transaction.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]
#![allow(unsafe_code, reason = "a VFS that kills can only be written against C")]

#[path = "support/killer.rs"]
mod killer;
mod support;

use dbrewind_sqlite::{Code, Database, Moments, OpenOptions, SqliteApi, Target};
use killer::{Victim, killed};
use support::{MODES, World};

fn child() -> Victim {
    let child = Victim::new();
    child.c.execute_batch("pragma cache_size = 5").unwrap();
    child
}

#[test]
#[ignore = "run by kill_mid_restore"]
fn child_rewinds() {
    let Victim { db, c: _c, calls } = child();
    killer::arm(calls);
    db.rewind(&Target::from("m"), None).unwrap();
}

#[test]
#[ignore = "run by kill_mid_transaction"]
fn child_writes() {
    let Victim { db, c, calls } = child();
    killer::arm(calls);
    c.execute_batch("begin; update t set v = 'w' || v; delete from t where id > 150; commit").unwrap();
    killer::arm(-1);
    drop(db);
}

fn prepared(mode: &str) -> (World, [u8; 16], [u8; 16]) {
    let world = World::new(mode, 1024);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..100);
    db.mark("m").unwrap();
    let marked = db.digest().unwrap();
    world.fill(&c, 100..200);
    c.execute("update t set v = 'x' || v where id % 3 = 0", []).unwrap();
    (world, marked, db.digest().unwrap())
}

/// Whatever the instruction: plain SQLite finds the old or the new state, and the recording knows which.
#[test]
fn kill_mid_restore() {
    let more = [("delete", "off"), ("persist", "off"), ("delete", "full")];
    for (mode, sync) in MODES.map(|mode| (mode, "normal")).into_iter().chain(more) {
        let (mut rolled_back, mut points) = (0, 0);
        for calls in 0.. {
            let (world, marked, before) = prepared(mode);
            let was_killed = killed("child_rewinds", &world, calls, sync);
            let hot = world.dir.path().join("a.db-journal").exists();
            // Plain SQLite first, then us.
            if calls % 2 == 0 {
                assert_eq!(world.plain("pragma integrity_check"), "ok", "{mode} {calls}");
            }
            let db = world.record();
            let digest = db.digest().unwrap();
            assert!(digest == marked || digest == before, "{mode} {calls}: neither old nor new");
            if hot && mode != "persist" && mode != "truncate" {
                assert_eq!(digest, before, "{mode} {calls}: a guard takes the rewind back");
                rolled_back += 1;
            }
            let c = world.connect();
            world.check(&c);
            assert_eq!(db.dirty_since(&Target::from("m")).unwrap(), digest == before, "{mode} {calls}");
            db.rewind(&Target::from("m"), None).unwrap();
            assert_eq!(db.digest().unwrap(), marked, "{mode} {calls}");
            world.check(&c);
            if !was_killed {
                points = calls;
                break;
            }
        }
        assert!(points > 5, "{mode}: {points} places to be killed at");
        assert!(rolled_back > 1 || mode == "persist" || mode == "truncate", "{mode}");
    }
}

/// A recorded writer is killed. Its transaction was rolled back, or it is not certain what is there: then the
/// marks are lost, and never is a state guessed.
#[test]
fn kill_mid_transaction() {
    for mode in MODES {
        let (mut kept, mut killed_at) = (0, 0);
        for calls in 0.. {
            let (world, marked, before) = prepared(mode);
            let was_killed = killed("child_writes", &world, calls, "normal");
            killed_at += i32::from(was_killed);
            let journal = mode != "off" && mode != "memory";
            if calls % 2 == 0 && journal {
                assert_eq!(world.plain("pragma integrity_check"), "ok", "{mode} {calls}");
            }
            let db = world.record();
            match db.rewind(&Target::from("m"), None) {
                Ok(back) => {
                    assert_eq!(db.digest().unwrap(), marked, "{mode} {calls}");
                    let c = world.connect();
                    world.check(&c);
                    db.rewind(&Target::from(back.undo), None).unwrap();
                    if journal && was_killed && world.count(&c) == 200 {
                        assert_eq!(db.digest().unwrap(), before, "{mode} {calls}");
                    }
                    db.mark("n").unwrap();
                    db.rewind(&Target::from("m"), None).unwrap();
                    assert_eq!(db.digest().unwrap(), marked, "{mode} {calls}");
                    kept += 1;
                }
                Err(error) => {
                    assert_eq!(error.code(), Code::MarkLost, "{mode} {calls}: {error}");
                    assert!(was_killed, "{mode} {calls}");
                }
            }
            if !was_killed {
                break;
            }
        }
        assert!(kept > 3 && killed_at > 5, "{mode}: {kept} of {killed_at}");
    }
}

/// The same where each commit is kept, which the killed process learns from the store: what was committed before is exact or
/// lost, also after a commit that comes behind the kill.
#[test]
fn kill_between_commits_that_are_kept() {
    for mode in MODES {
        let (mut kept, mut killed_at) = (0, 0);
        for calls in 0.. {
            let world = World::new(mode, 1024);
            let options = OpenOptions { moments: Some(Moments::Commits), ..world.options() };
            let mut known = Vec::new();
            {
                let db = Database::open(SqliteApi::bundled(), &world.path(), &options).unwrap();
                let c = world.connect();
                for first in [0, 80, 160] {
                    world.fill(&c, first..first + 80);
                    known.push((db.now().unwrap(), db.digest().unwrap()));
                }
            }
            let was_killed = killed("child_writes", &world, calls, "normal");
            killed_at += i32::from(was_killed);
            let db = world.record();
            let c = world.connect();
            if calls % 2 == 0 {
                world.fill(&c, 1000..1050);
                known.push((db.now().unwrap(), db.digest().unwrap()));
            }
            for (lsn, digest) in known.into_iter().rev() {
                match db.rewind(&Target::from(lsn), None) {
                    Ok(_) => {
                        assert_eq!(db.digest().unwrap(), digest, "{mode} {calls} {lsn}");
                        // A commit on top of what such a mode has torn is as torn.
                        if mode != "off" && mode != "memory" {
                            world.check(&c);
                        }
                        kept += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.code(), Code::MarkLost, "{mode} {calls} {lsn}: {error}");
                        assert!(was_killed, "{mode} {calls}");
                    }
                }
            }
            if !was_killed {
                break;
            }
        }
        assert!(kept > 9 && killed_at > 5, "{mode}: {kept} of {killed_at}");
    }
}

/// A killed transaction is rolled back by a plain program, which then commits one of its own: the counter is
/// what the killed one's would have been, the content is not.
#[test]
fn plain_commit_after_a_killed_one() {
    let mut after_the_first_write = 0;
    for calls in 0.. {
        let (world, _, _) = prepared("delete");
        if !killed("child_writes", &world, calls, "normal") {
            break;
        }
        let journal = std::fs::read(world.dir.path().join("a.db-journal")).unwrap_or_default();
        if journal.first().is_none_or(|byte| *byte == 0) {
            continue;
        }
        world.plain("insert into t values (1000, 'plain')");
        let db = world.record();
        let error = db.rewind(&Target::from("m"), None).unwrap_err();
        assert_eq!(error.code(), dbrewind_sqlite::Code::MarkLost, "{calls}: {error}");
        after_the_first_write += 1;
        if after_the_first_write == 12 {
            break;
        }
    }
    assert!(after_the_first_write > 3);
}

/// The guard has the file's page size from before the rewind, whatever it is when it is played back.
#[test]
fn kill_mid_restore_across_page_sizes() {
    for (before, after) in [(1024, 4096), (4096, 512)] {
        let mut rolled_back = 0;
        for calls in 0.. {
            let world = World::new("delete", before);
            let db = world.record();
            let c = world.connect();
            world.fill(&c, 0..60);
            db.mark("m").unwrap();
            let marked = db.digest().unwrap();
            c.execute_batch(&format!("pragma page_size = {after}; vacuum")).unwrap();
            world.fill(&c, 60..80);
            let vacuumed = db.digest().unwrap();
            drop((db, c));
            let was_killed = killed("child_rewinds", &world, calls, "normal");
            let hot = world.dir.path().join("a.db-journal").exists();
            assert_eq!(world.plain("pragma integrity_check"), "ok", "{before} {after} {calls}");
            let db = world.record();
            let digest = db.digest().unwrap();
            assert!(digest == vacuumed || (digest == marked && !hot), "{before} {after} {calls}");
            rolled_back += i32::from(hot);
            if !was_killed {
                break;
            }
        }
        assert!(rolled_back > 1, "{before} {after}");
    }
}

/// A connection in journal_mode=OFF does not look for a hot journal. Any other connection heals the file.
#[test]
fn journal_off_observer() {
    let (world, _, before) = prepared("off");
    let mut present = before;
    let mut healed = 0;
    for calls in 0..40 {
        if !killed("child_rewinds", &world, calls, "normal") {
            break;
        }
        if world.dir.path().join("a.db-journal").exists() {
            // `open` finds the journal and lets SQLite play it back before anybody else reads.
            let db = world.record();
            assert_eq!(db.digest().unwrap(), present, "{calls}");
            let off = world.connect();
            world.check(&off);
            world.fill(&off, 300 + calls * 10..310 + calls * 10);
            present = db.digest().unwrap();
            healed += 1;
        }
    }
    assert!(healed > 0);
}
