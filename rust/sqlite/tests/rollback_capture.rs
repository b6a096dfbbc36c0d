//! Whether everything that a write takes away is saved, and nothing else is recorded.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use dbrewind_sqlite::Target;
use support::{MODES, World};

/// Pages that are cut off must come back.
#[test]
fn truncate_captured() {
    for mode in MODES {
        for vacuum in ["pragma auto_vacuum = full;", "pragma auto_vacuum = incremental;", ""] {
            let world = World::with(mode, &format!("pragma page_size = 1024; {vacuum}"));
            let db = world.record();
            let c = world.connect();
            world.fill(&c, 0..200);
            db.mark("full").unwrap();
            let digest = db.digest().unwrap();
            c.execute("delete from t where id >= 20", []).unwrap();
            let shrink = if vacuum.contains("incremental") { "pragma incremental_vacuum" } else { "vacuum" };
            let mut steps = c.prepare(shrink).unwrap();
            let mut rows = steps.query([]).unwrap();
            while rows.next().unwrap().is_some() {}
            drop(rows);
            let small = db.digest().unwrap();
            let pages: i64 = c.query_row("pragma page_count", [], |row| row.get(0)).unwrap();
            assert!(pages < 40, "{pages}");
            let back = db.rewind(&Target::from("full"), None).unwrap();
            assert_eq!(db.digest().unwrap(), digest, "{mode} {vacuum}");
            world.check(&c);
            db.rewind(&Target::from(back.undo), None).unwrap();
            assert_eq!(db.digest().unwrap(), small, "{mode} {vacuum}");
            world.check(&c);
            assert_eq!(world.count(&c), 20);
        }
    }
}

/// VACUUM with another page size: the blocks stay what they were.
#[test]
fn page_size_change() {
    for (before, after) in [(4096, 1024), (1024, 8192), (512, 65536), (65536, 512)] {
        for mode in ["delete", "memory"] {
            let world = World::new(mode, before);
            let db = world.record();
            let (c, other) = (world.connect(), world.connect());
            world.fill(&c, 0..300);
            c.execute("delete from t where id % 3 = 0", []).unwrap();
            assert_eq!(world.count(&other), 200);
            db.mark("before").unwrap();
            let digest = db.digest().unwrap();
            c.execute_batch(&format!("pragma page_size = {after}; vacuum")).unwrap();
            world.fill(&c, 300..310);
            let size: i64 = c.query_row("pragma page_size", [], |row| row.get(0)).unwrap();
            assert_eq!(size, after);
            let vacuumed = db.digest().unwrap();
            let back = db.rewind(&Target::from("before"), None).unwrap();
            assert_eq!(db.digest().unwrap(), digest, "{before} {after}");
            assert_eq!((world.count(&other), world.count(&c)), (200, 200));
            world.check(&c);
            db.rewind(&Target::from(back.undo), None).unwrap();
            assert_eq!(db.digest().unwrap(), vacuumed, "{before} {after}");
            assert_eq!(world.plain("pragma page_size; select count(*) from t"), format!("{after}\n210"));
            world.check(&c);
            // The next recording still knows the mark, though the page size is another one.
            drop(db);
            let db = world.record();
            db.rewind(&Target::from("before"), None).unwrap();
            assert_eq!(db.digest().unwrap(), digest, "{before} {after} again");
            assert_eq!(world.count(&other), 200);
        }
    }
}

/// ROLLBACK removes the journal and unlocks as well; only COMMIT is a commit.
#[test]
fn rollback_is_not_commit() {
    for mode in ["delete", "truncate", "persist", "memory"] {
        let world = World::new(mode, 1024);
        let db = world.record();
        let c = world.connect();
        world.fill(&c, 0..10);
        let mark = db.mark("m").unwrap();
        let digest = db.digest().unwrap();
        // A small cache, so that pages are written before the end.
        c.execute_batch("pragma cache_size = 5; begin").unwrap();
        for id in 10..200 {
            c.execute("insert into t values (?1, ?1)", [id]).unwrap();
        }
        c.execute("delete from t where id < 5", []).unwrap();
        c.execute_batch("rollback").unwrap();
        assert_eq!(db.now().unwrap(), mark.lsn, "{mode}");
        assert!(!db.dirty_since(&Target::from("m")).unwrap());
        assert_eq!(db.digest().unwrap(), digest);
        world.fill(&c, 10..20);
        assert!(db.dirty_since(&Target::from("m")).unwrap());
        db.rewind(&Target::from("m"), None).unwrap();
        assert!(!db.dirty_since(&Target::from("m")).unwrap());
        assert_eq!(db.digest().unwrap(), digest, "{mode}");
        world.check(&c);
    }
}

/// SQLite tells of a commit also when nothing was written.
#[test]
fn phasetwo_without_change() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..3);
    let mark = db.mark("m").unwrap();
    for _ in 0..3 {
        c.execute_batch("begin immediate; commit; begin exclusive; commit").unwrap();
    }
    assert_eq!(db.now().unwrap(), mark.lsn);
    assert_eq!(db.rewind(&Target::from("m"), None).unwrap().pages, 0);
}

/// A transaction over two databases: each file's commit is recorded, and each can be rewound.
#[test]
fn super_journal_group() {
    for mode in ["delete", "truncate", "persist"] {
        let (one, two) = (World::new(mode, 4096), World::new(mode, 1024));
        let (db_one, db_two) = (one.record(), two.record());
        let c = one.connect();
        c.execute("attach ?1 as two", [two.path().to_str().unwrap()]).unwrap();
        c.execute_batch(&format!("pragma two.journal_mode = {mode}; pragma synchronous = normal")).unwrap();
        c.execute_batch("pragma two.synchronous = normal").unwrap();
        let (m1, m2) = (db_one.mark("m").unwrap(), db_two.mark("m").unwrap());
        c.execute_batch("begin; insert into t values (1, 'a'); insert into two.t values (1, 'a'); commit")
            .unwrap();
        assert!(db_one.now().unwrap() > m1.lsn && db_two.now().unwrap() > m2.lsn);
        c.execute_batch("begin; insert into t values (2, 'a'); insert into two.t values (2, 'a'); rollback")
            .unwrap();
        for (world, db) in [(&one, &db_one), (&two, &db_two)] {
            assert_eq!(world.plain("select count(*) from t"), "1");
            db.rewind(&Target::from("m"), None).unwrap();
            assert_eq!(world.plain("select count(*) from t; pragma integrity_check"), "0\nok");
        }
        assert_eq!(one.count(&c), 0);
    }
}

/// Savepoints, undone inner transactions and spilled pages in between.
#[test]
fn savepoints_and_spills() {
    for mode in MODES.iter().filter(|mode| **mode != "off") {
        let world = World::new(mode, 512);
        let db = world.record();
        let c = world.connect();
        c.execute_batch("pragma cache_size = 5").unwrap();
        world.fill(&c, 0..100);
        db.mark("m").unwrap();
        let digest = db.digest().unwrap();
        c.execute_batch("begin; update t set v = 'a' || v; savepoint s; delete from t where id > 50")
            .unwrap();
        c.execute_batch("update t set v = 'b' || v; rollback to s; release s; commit").unwrap();
        assert_eq!(world.count(&c), 100);
        world.check(&c);
        db.rewind(&Target::from("m"), None).unwrap();
        assert_eq!(db.digest().unwrap(), digest, "{mode}");
        world.check(&c);
    }
}

/// Many marks; every one of them can be reached from every other, in any order, as often as wanted.
#[test]
fn any_mark_from_any_other() {
    for mode in ["delete", "off"] {
        let world = World::new(mode, 1024);
        let db = world.record();
        let c = world.connect();
        let mut digests = Vec::new();
        for step in 0..6_i64 {
            world.fill(&c, step * 20..step * 20 + 20);
            c.execute("delete from t where id % 7 = ?1", [step]).unwrap();
            if step == 3 {
                c.execute_batch("create table u(a); insert into u select v from t; vacuum").unwrap();
            }
            db.mark(&format!("m{step}")).unwrap();
            digests.push(db.digest().unwrap());
        }
        let mut undos = Vec::new();
        for round in 0..40_usize {
            let to = (round * 5 + round / 6) % 6;
            let before = db.digest().unwrap();
            let done = db.rewind(&Target::Name(format!("m{to}")), None).unwrap();
            assert_eq!(db.digest().unwrap(), digests[to], "{mode} {round}");
            undos.push((done.undo, before));
            if round % 3 == 0 {
                c.execute("update t set v = ?1 where id % 5 = 0", [round as i64]).unwrap();
                let now = db.digest().unwrap();
                let (undo, digest) = undos[round / 2];
                db.rewind(&Target::from(undo), None).unwrap();
                assert_eq!(db.digest().unwrap(), digest, "{mode} {round}");
                assert_ne!(now, digest);
            }
            world.check(&c);
        }
    }
}

/// A write at a terabyte offset must not cost memory, nor records.
#[test]
fn epoch_array_bounded() {
    let world = World::new("delete", 512);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..10);
    db.mark("small").unwrap();
    let before = store_use(&world);
    world.fill(&c, 10..3000);
    let grown = store_use(&world) - before;
    // Only what was there at the mark is saved, however much is added: 3,000 rows of 300 bytes.
    assert!(grown < 200_000, "{grown}");
    db.rewind(&Target::from("small"), None).unwrap();
    assert_eq!(world.count(&c), 10);
    world.check(&c);
}

/// Bytes of the store that are not zero: segments are allocated whole.
fn store_use(world: &World) -> usize {
    let folder = world.store();
    let segments = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let segments = segments.filter(|path| path.extension().is_some_and(|end| end == "seg"));
    segments
        .map(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
        })
        .sum()
}

/// Memory-mapped reading, and a rewind under the map.
#[test]
fn mmap_follows() {
    for mode in MODES {
        let world = World::new(mode, 4096);
        let db = world.record();
        let (c, reader) = (world.connect(), world.connect());
        for one in [&c, &reader] {
            one.query_row("pragma mmap_size = 67108864", [], |_| Ok(())).unwrap();
        }
        world.fill(&c, 0..500);
        db.mark("m").unwrap();
        assert_eq!(world.count(&reader), 500);
        for _ in 0..5 {
            c.execute("delete from t where id > 100", []).unwrap();
            c.execute_batch("vacuum").unwrap();
            assert_eq!(world.count(&reader), 101);
            db.rewind(&Target::from("m"), None).unwrap();
            assert_eq!((world.count(&reader), world.count(&c)), (500, 500), "{mode}");
            world.check(&reader);
        }
    }
}

/// SQLITE_FCNTL_CHUNK_SIZE: the file is longer than page 1 says.
#[test]
#[allow(unsafe_code, reason = "a file control has no safe wrapper")]
fn preallocated_chunks_come_back() {
    for (page, later) in [(512, 512), (1024, 1024), (4096, 512), (4096, 4096)] {
        let world = World::new("delete", page);
        let db = world.record();
        let c = world.connect();
        let mut chunk: std::ffi::c_int = 32_768;
        // SAFETY: this control reads one int.
        let code = unsafe {
            rusqlite::ffi::sqlite3_file_control(c.handle(), c"main".as_ptr(), 6, (&raw mut chunk).cast())
        };
        assert_eq!(code, 0);
        if page != later {
            c.execute_batch(&format!("pragma page_size = {later}; vacuum")).unwrap();
        }
        world.fill(&c, 0..40);
        let length = || std::fs::metadata(world.path()).unwrap().len();
        assert_eq!(length() % 32_768, 0, "the chunks are in effect");
        db.mark("m").unwrap();
        let (marked, size) = (db.digest().unwrap(), length());
        world.fill(&c, 40..200);
        c.execute("delete from t where id < 20", []).unwrap();
        let (left, size_left) = (db.digest().unwrap(), length());
        let done = db.rewind(&Target::from("m"), None).unwrap();
        assert_eq!((db.digest().unwrap() == marked, length()), (true, size), "{page} {later}");
        assert_eq!(world.plain("pragma integrity_check"), "ok");
        world.check(&c);
        db.rewind(&Target::Lsn(done.undo), None).unwrap();
        assert_eq!((db.digest().unwrap() == left, length()), (true, size_left), "{page} {later}");
        assert_eq!(world.plain("pragma integrity_check"), "ok");
        world.fill(&c, 300..310);
        world.check(&c);
    }
}
