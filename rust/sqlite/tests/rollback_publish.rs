//! What other connections must notice after a rewind: hazards of page 1.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use dbrewind_sqlite::Target;
use support::{MODES, World};

/// The same counter for two different states would let a reader serve the abandoned one from its cache.
#[test]
fn aba_change_counter() {
    for mode in MODES {
        let world = World::new(mode, 4096);
        let db = world.record();
        let (writer, reader) = (world.connect(), world.connect());
        let mut plain = world.shell();
        world.fill(&writer, 0..1);
        db.mark("one").unwrap();
        let update = |v: &str| {
            writer.execute("update t set v = ?1", [v]).unwrap();
        };
        let seen = || reader.query_row("select v from t", [], |row| row.get::<_, String>(0)).unwrap();
        for round in 0..5 {
            update(&format!("abandoned {round}"));
            assert_eq!(seen(), format!("abandoned {round}"));
            assert_eq!(plain.run("select v from t;"), format!("abandoned {round}"));
            db.rewind(&Target::from("one"), None).unwrap();
            // One commit after the rewind: without the step the counter would be the abandoned one's.
            update(&format!("kept {round}"));
            assert_eq!(seen(), format!("kept {round}"), "{mode}");
            assert_eq!(plain.run("select v from t;"), format!("kept {round}"), "{mode}");
            db.rewind(&Target::from("one"), None).unwrap();
            assert_eq!(seen(), format!("{:0>300}", 0), "{mode}");
        }
    }
}

/// The same cookie for two schemas lets a prepared statement read another table's pages.
#[test]
fn aba_schema_cookie() {
    for mode in MODES {
        let world = World::new(mode, 4096);
        let db = world.record();
        let (writer, reader) = (world.connect(), world.connect());
        db.mark("empty").unwrap();
        writer.execute_batch("create table u(a); insert into u values ('of u')").unwrap();
        let mut statement = reader.prepare("select * from u").unwrap();
        assert_eq!(statement.query_row([], |row| row.get::<_, String>(0)).unwrap(), "of u");
        db.rewind(&Target::from("empty"), None).unwrap();
        writer.execute_batch("create table w(a); insert into w values ('of w')").unwrap();
        let answer = statement.query_row([], |row| row.get::<_, String>(0));
        assert!(answer.unwrap_err().to_string().contains("no such table: u"), "{mode}");
    }
}

/// Marks survive a close and a new open; so do the maxima, or the first rewind after it would be an ABA.
#[test]
fn counter_maxima_persist() {
    let world = World::new("delete", 4096);
    let (writer, reader) = (world.connect_by("unix"), world.connect_by("unix"));
    drop((writer, reader));
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..3);
    db.mark("m").unwrap();
    c.execute_batch("create table u(a)").unwrap();
    db.rewind(&Target::from("m"), None).unwrap();
    let counter = || world.plain("pragma data_version; select 1").len();
    assert!(counter() > 0);
    let (before, cookie) = page_one(&world);
    db.close().unwrap();
    drop(db);
    let db = world.record();
    assert_eq!(db.marks().unwrap().len(), 1);
    c.execute_batch("create table u(a)").unwrap();
    db.rewind(&Target::from("m"), None).unwrap();
    let (after, cookie_after) = page_one(&world);
    assert!(after > before + 60, "{before} {after}");
    assert!(cookie_after > cookie + 1, "{cookie} {cookie_after}");
    assert_eq!(world.count(&c), 3);
}

/// Change counter and schema cookie, read by a child: nobody opens the file by its path in here.
fn page_one(world: &World) -> (u32, u32) {
    let out =
        std::process::Command::new("head").args(["-c", "100"]).arg(world.path()).output().unwrap().stdout;
    let at = |i: usize| u32::from_be_bytes(out.get(i..i + 4).unwrap().try_into().unwrap());
    assert_eq!(at(24), at(92), "counter and version-valid-for agree");
    (at(24), at(40))
}

/// The mode bytes belong to the connections that are there now, not to the mark.
#[test]
fn keep_journal_mode_bytes() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..3);
    db.mark("m").unwrap();
    world.fill(&c, 3..6);
    let mode: String = c.query_row("pragma journal_mode = wal", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(world.count(&c), 6);
    assert!(world.dir.path().join("a.db-wal").exists());
    db.rewind(&Target::from("m"), None).unwrap();
    assert_eq!(world.count(&c), 3);
    let mode: String = c.query_row("pragma journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal", "the mark was set in another mode");
    drop(c);
    assert!(world.dir.path().join("a.db-wal").exists(), "a recording keeps it");
    db.close().unwrap();
    assert_eq!(
        world.plain("select count(*) from t; pragma integrity_check; pragma journal_mode"),
        "3\nok\nwal"
    );
}
