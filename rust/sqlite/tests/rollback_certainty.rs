//! History that is not certain is refused: what others do between our writes, and after our death.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers")]
#![allow(unsafe_code, reason = "a VFS that kills can only be written against C")]

#[path = "support/killer.rs"]
mod killer;
mod support;

use std::os::unix::fs::MetadataExt;

use dbrewind_sqlite::{Code, Database, Target};
use killer::{Victim, killed};
use support::{MODES, World, restart};

/// Either the rewind is refused with one of these codes, or it is exact.
fn exact_or_refused(db: &Database, digest: [u8; 16], what: &str) -> bool {
    match db.rewind(&Target::from("m"), None) {
        Ok(_) => {
            assert_eq!(db.digest().unwrap(), digest, "{what}: not what it was at the mark");
            true
        }
        Err(error) => {
            let code = error.code();
            assert!(
                matches!(code, Code::MarkLost | Code::NotAttached | Code::Unsupported),
                "{what}: {error}"
            );
            false
        }
    }
}

fn child(act: impl FnOnce(&Database, &rusqlite::Connection)) {
    let Victim { db, c, calls } = Victim::new();
    killer::arm(calls);
    act(&db, &c);
    killer::arm(-1);
}

#[test]
#[ignore = "run by foreign_commit_after_a_dead_writer"]
fn child_writes() {
    child(|_, c| c.execute_batch("update t set v = 'w' || v where id > 150").unwrap());
}

#[test]
#[ignore = "run by settled_rewind_is_kept"]
fn child_rewinds() {
    child(|db, _| {
        db.rewind(&Target::from("m"), None).unwrap();
    });
}

/// A plain program dies with half a transaction in the file. A recorded connection plays its journal back:
/// what that overwrites was never a state of the database.
#[test]
fn foreign_journal_played_back_by_us() {
    for locking in ["normal", "exclusive"] {
        let world = World::new("delete", 1024);
        let db = world.record();
        let c = world.connect();
        world.fill(&c, 0..100);
        db.mark("m").unwrap();
        let digest = db.digest().unwrap();
        let mut shell = world.shell();
        shell.run("pragma synchronous = off; pragma cache_size = 5; begin; update t set v = 'foreign' || v;");
        shell.kill();
        assert!(world.dir.path().join("a.db-journal").exists());
        c.execute_batch(&format!("pragma locking_mode = {locking}")).unwrap();
        assert_eq!(world.count(&c), 100);
        c.execute("insert into t values (1000, 'x')", []).unwrap();
        c.execute_batch("pragma locking_mode = normal").unwrap();
        assert_eq!(world.count(&c), 101);
        db.rewind(&Target::from("m"), None).unwrap();
        assert_eq!(db.digest().unwrap(), digest, "{locking}");
        world.check(&c);
    }
}

/// A recorded writer dies, a plain program undoes its transaction and commits one of its own, which leaves
/// the very change counter that the dead one would have.
#[test]
fn foreign_commit_after_a_dead_writer() {
    for mode in ["delete", "truncate", "persist"] {
        let (mut kept, mut refused) = (0, 0);
        for calls in 0.. {
            let world = World::new(mode, 1024);
            let (db, c, digest) = world.marked();
            drop((c, db));
            let was_killed = killed("child_writes", &world, calls, "off");
            world.plain("update t set v = 'plain' where id = 1");
            let db = world.record();
            if exact_or_refused(&db, digest, &format!("{mode} {calls}")) {
                kept += 1
            } else {
                refused += 1
            }
            if !was_killed {
                break;
            }
        }
        assert!(refused > 3 && kept == 0, "{mode}: {kept} {refused}");
    }
}

/// A rewind is finished by another process, which goes on with what it knew before.
#[test]
fn settled_rewind_is_kept() {
    for by_shim in [false, true] {
        for calls in 0.. {
            let world = World::new("delete", 1024);
            let db = world.record();
            let c = world.connect();
            world.fill(&c, 0..100);
            db.mark("m").unwrap();
            let digest = db.digest().unwrap();
            c.execute("update t set v = 'x' || v", []).unwrap();
            c.execute("delete from t where id > 50", []).unwrap();
            let later = db.digest().unwrap();
            let was_killed = killed("child_rewinds", &world, calls, "off");
            if by_shim {
                world.count(&c);
            } else {
                world.plain("select count(*) from t");
            }
            let undone = db.digest().unwrap() == later;
            c.execute("update t set v = 'z' || v where id = 1", []).unwrap();
            c.execute("insert into t values (1000, 'z')", []).unwrap();
            db.mark("n").unwrap();
            let newest = db.digest().unwrap();
            let back = db.rewind(&Target::from("m"), None);
            let back = back.unwrap_or_else(|error| panic!("{by_shim} {calls} {undone}: {error}"));
            assert_eq!(db.digest().unwrap(), digest, "{by_shim} {calls} {undone}");
            db.rewind(&Target::from(back.undo), None).unwrap();
            assert_eq!(db.digest().unwrap(), newest, "{by_shim} {calls} {undone}");
            world.check(&c);
            if !was_killed {
                break;
            }
        }
    }
}

/// In WAL mode commits do not raise the change counter, and anybody may write the file.
#[test]
fn writes_in_wal_mode_are_not_missed() {
    for checkpoint in [true, false] {
        let world = World::new("delete", 1024);
        let (db, c, digest) = world.marked();
        let mode = |mode: &str| -> rusqlite::Result<String> {
            c.query_row(&format!("pragma journal_mode = {mode}"), [], |row| row.get(0))
        };
        assert_eq!(mode("wal").unwrap(), "wal");
        world.plain("update t set v = 'plain' where id = 1");
        if checkpoint {
            world.plain("pragma wal_checkpoint(truncate)");
        }
        assert!(mode("delete").is_err(), "the recording has it open in WAL mode, too");
        c.execute("insert into t values (1000, 'x')", []).unwrap();
        assert!(exact_or_refused(&db, digest, "in WAL mode"));
    }
}

/// A connection in exclusive locking mode raises the change counter once only; what it commits after the
/// end of recording must not pass for nothing.
#[test]
fn closed_beside_an_exclusive_connection() {
    for mode in MODES {
        let world = World::new(mode, 1024);
        let (db, c, digest) = world.marked();
        c.execute_batch("pragma locking_mode = exclusive; update t set v = 'one' where id = 1").unwrap();
        let _ = db.close();
        c.execute_batch("update t set v = 'two' where id = 150").unwrap();
        drop(c);
        let db = world.record();
        exact_or_refused(&db, digest, mode);
    }
}

/// What a transaction saved that was rolled back is no sign of records that a power cut took.
#[test]
fn rolled_back_before_a_restart_of_the_machine() {
    for mode in ["delete", "truncate", "persist", "memory"] {
        let world = World::new(mode, 1024);
        let (db, c, digest) = world.marked();
        world.fill(&c, 200..300);
        db.mark("n").unwrap();
        c.execute_batch("pragma cache_size = 5; begin; update t set v = 'x' || v; rollback").unwrap();
        drop((c, db));
        restart(&world.store());
        let db = world.record();
        assert!(exact_or_refused(&db, digest, mode), "{mode}: lost without need");
    }
}

/// The journal's deletion did not reach the disk, and the last transaction was played back; nor did the registers, which
/// hold the counter that the file has again. The log did.
#[test]
fn undone_by_a_restart_of_the_machine_together_with_the_registers() {
    let world = World::new("delete", 1024);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..200);
    let store = world.store();
    let read = |name: &str| std::fs::read(store.join(name)).unwrap();
    let (file, control) = (std::fs::read(world.path()).unwrap(), read("control"));
    world.fill(&c, 200..300);
    db.mark("m").unwrap();
    let digest = db.digest().unwrap();
    let log = read("0000000000000001.seg");
    drop((c, db));
    for (path, bytes) in
        [(world.path(), file), (store.join("control"), control), (store.join("0000000000000001.seg"), log)]
    {
        std::fs::write(path, bytes).unwrap();
    }
    restart(&store);
    let db = world.record();
    assert!(!exact_or_refused(&db, digest, "the newest moment is not what is there"));
}

/// In exclusive locking mode only the first commit changes the counter: a log that ends there and old registers look as if
/// nothing had been after it.
#[test]
fn log_cut_short_in_exclusive_locking_mode() {
    let world = World::new("delete", 1024);
    let (db, c, digest) = world.marked();
    let store = world.store();
    c.execute_batch("pragma locking_mode = exclusive; update t set v = 'first' where rowid = 1").unwrap();
    let control = std::fs::read(store.join("control")).unwrap();
    c.execute_batch("update t set v = 'second ' || v where rowid > 100").unwrap();
    let mut log = std::fs::read(store.join("0000000000000001.seg")).unwrap();
    drop((c, db));
    log.truncate(end_of_the_synced(&log));
    log.resize(1 << 22, 0);
    std::fs::write(store.join("control"), control).unwrap();
    std::fs::write(store.join("0000000000000001.seg"), log).unwrap();
    restart(&store);
    let db = world.record();
    assert!(!exact_or_refused(&db, digest, "the second update is not in the log"));
}

/// Where the note ends that the last sync was made for; at least it is on disk.
fn end_of_the_synced(log: &[u8]) -> usize {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("0000000000000001.seg"), log).unwrap();
    let copy = dbrewind_core::Store::open(scratch.path(), &dbrewind_core::StoreOptions::default()).unwrap();
    let (mut noted, mut end) = (false, None);
    copy.scan(&mut dbrewind_core::Cursor::default(), &mut |head, at, _| {
        if noted && end.is_none() {
            end = Some(at.offset() as usize);
        }
        noted |= head.kind == dbrewind_core::Kind::Note && head.key.get() == 5;
    })
    .unwrap();
    end.unwrap()
}

/// Whether one that was cut off would have been committed, nobody knows: only a rollback that was seen counts.
#[test]
fn cut_off_by_a_restart_of_the_machine() {
    let (mut kept, mut refused) = (0, 0);
    for calls in 0.. {
        let world = World::new("delete", 1024);
        let (db, c, digest) = world.marked();
        drop((c, db));
        let was_killed = killed("child_writes", &world, calls, "off");
        restart(&world.store());
        let db = world.record();
        if exact_or_refused(&db, digest, &format!("{calls}")) {
            kept += 1
        } else {
            refused += 1
        }
        if !was_killed {
            break;
        }
    }
    assert!(refused > 3 && kept > 1, "{kept} {refused}");
}

/// A new file with the name, the inode and the change counter of the old one is still another file.
#[test]
fn recreated_file_with_the_same_inode_and_counter() {
    let world = World::new("delete", 1024);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..10);
    db.mark("m").unwrap();
    let digest = db.digest().unwrap();
    world.fill(&c, 10..20);
    drop((c, db));
    let inode = std::fs::metadata(world.path()).unwrap().ino();
    for _ in 0..20 {
        std::fs::remove_file(world.path()).unwrap();
        world.plain("pragma page_size = 1024; create table t(id integer primary key, v text)");
        world.plain("insert into t values (1, 'new')");
        world.plain("insert into t values (2, 'new')");
        if std::fs::metadata(world.path()).unwrap().ino() == inode {
            let db = world.record();
            assert!(!exact_or_refused(&db, digest, "recreated"));
            assert_eq!(world.plain("select count(*), min(v) from t"), "2|new");
            return;
        }
    }
    eprintln!("this file system does not use inodes again: nothing tested");
}
