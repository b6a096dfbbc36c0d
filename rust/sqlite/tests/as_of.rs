//! Past moments, read beside the live database and copied out of it, while everything else goes on.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::path::Path;

use dbrewind_core::Code;
use dbrewind_sqlite::{At, Database, OpenOptions, Target};
use rusqlite::{Connection, OpenFlags};
use support::wal::{WalWorld, insert, record, rows, to, unsynced};
use support::{MODES, World};

/// A connection to a past moment, as any program of the process opens it.
fn past(at: &At) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(at.uri(), flags).unwrap()
}

/// A copy made now, in a folder of its own.
fn copy(database: &Database, target: &Target) -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.db");
    database.clone_to(target, &path).unwrap();
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["copy.db"]);
    let connection = Connection::open(path).unwrap();
    (dir, connection)
}

/// The digest that a copy has, opened as a database of its own.
fn digest_of_copy(database: &Database, target: &Target) -> [u8; 16] {
    let (dir, connection) = copy(database, target);
    drop(connection);
    let copy = record(&dir.path().join("copy.db"), &unsynced());
    copy.digest().unwrap()
}

fn is_sound(connection: &Connection) {
    let answer: String = connection.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(answer, "ok");
}

/// A thousand rows more, and those there were changed.
fn churn(app: &Connection, text: &str) {
    app.execute_batch("begin").unwrap();
    app.execute("update t set x = ?1 || x", [text]).unwrap();
    for _ in 0..300 {
        insert(app, &text.repeat(20));
    }
    app.execute_batch("commit").unwrap();
}

#[test]
fn wal_moments_are_read_while_everything_goes_on() {
    for wal_limit in [64 << 20, 0] {
        let world = WalWorld::with(OpenOptions { wal_limit, ..unsynced() });
        let (app, db) = (world.connect(), world.record());
        insert(&app, "one");
        db.mark("first").unwrap();
        let first = db.digest().unwrap();
        churn(&app, "a");
        db.mark("second").unwrap();
        let (second, there) = (db.digest().unwrap(), rows(&app));
        let (a, b) = (db.at(&to("first")).unwrap(), db.at(&to("second")).unwrap());
        let (one, two) = (past(&a), past(&b));
        let check = |round: u32| {
            assert_eq!(rows(&one), ["one"], "round {round}");
            assert_eq!(rows(&two), there, "round {round}");
            assert_eq!(rows(&past(&b)), there, "round {round}");
            assert_eq!((a.digest().unwrap(), b.digest().unwrap()), (first, second), "round {round}");
            is_sound(&past(&b));
        };
        check(0);
        churn(&app, "b");
        check(1);
        db.rewind(&to("first"), None).unwrap();
        check(2);
        app.execute_batch("vacuum").unwrap();
        churn(&app, "c");
        // With a limit of 0 our checkpoints run now, too.
        std::thread::sleep(std::time::Duration::from_millis(300));
        check(3);
        app.execute_batch("delete from t; vacuum").unwrap();
        check(4);
        assert_eq!(digest_of_copy(&db, &to("second")), second);
        assert_eq!(digest_of_copy(&db, &to("first")), first);
        db.rewind(&to("second"), None).unwrap();
        check(5);
        assert_eq!(rows(&app), there);
    }
}

#[test]
fn rollback_moments_are_read_while_everything_goes_on() {
    for mode in MODES {
        let world = World::new(mode, 1024);
        let db = world.record();
        let app = world.connect();
        world.fill(&app, 0..300);
        db.mark("first").unwrap();
        let first = db.digest().unwrap();
        world.fill(&app, 300..700);
        app.execute_batch("update t set v = upper(v) || 'x' where id % 3 = 0").unwrap();
        db.mark("second").unwrap();
        let second = db.digest().unwrap();
        let (a, b) = (db.at(&to("first")).unwrap(), db.at(&to("second")).unwrap());
        let (one, two) = (past(&a), past(&b));
        let check = |round: u32| {
            assert_eq!((world.count(&one), world.count(&two)), (300, 700), "{mode} {round}");
            assert_eq!(world.count(&past(&b)), 700, "{mode} {round}");
            assert_eq!((a.digest().unwrap(), b.digest().unwrap()), (first, second), "{mode} {round}");
            is_sound(&past(&a));
        };
        check(0);
        app.execute_batch("delete from t where id % 2").unwrap();
        check(1);
        app.execute_batch("begin immediate; update t set v = 'y'").unwrap();
        check(2);
        app.execute_batch("pragma cache_size = 2; update t set v = v || 'z'").unwrap();
        check(3);
        app.execute_batch("rollback").unwrap();
        if mode == "off" {
            // There is nothing to roll back with: what is there now is anything.
            continue;
        }
        check(4);
        db.rewind(&to("first"), None).unwrap();
        check(5);
        app.execute_batch("vacuum").unwrap();
        check(6);
        app.execute_batch("delete from t; vacuum").unwrap();
        check(7);
        app.execute_batch("pragma page_size = 4096; vacuum").unwrap();
        world.fill(&app, 1000..1400);
        check(8);
        assert_eq!(copy(&db, &to("second")).1.query_row("select count(*) from t", [], |r| r.get(0)), Ok(700));
        db.rewind(&to("second"), None).unwrap();
        check(9);
        assert_eq!(db.digest().unwrap(), second);
    }
}

#[test]
fn a_past_moment_can_be_attached_to_the_live_one() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    insert(&app, "kept");
    insert(&app, "changed");
    db.mark("seeded").unwrap();
    app.execute("update t set x = 'other' where x = 'changed'", []).unwrap();
    let at = db.at(&to("seeded")).unwrap();
    app.execute("attach ?1 as past", [at.uri()]).unwrap();
    let found: String = app
        .query_row("select past.t.x from past.t join main.t using(id) where past.t.x <> main.t.x", [], |r| {
            r.get(0)
        })
        .unwrap();
    assert_eq!(found, "changed");
    app.execute("insert into t(x) select x from past.t where x = 'changed'", []).unwrap();
    assert_eq!(rows(&app), ["kept", "other", "changed"]);
    let refused = app.execute("delete from past.t", []).unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

#[test]
fn every_commit_of_a_wal_is_a_moment() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    let mut moments = vec![];
    for number in 0..20 {
        insert(&app, &number.to_string());
        moments.push((db.now().unwrap(), db.digest().unwrap(), number + 1));
    }
    db.rewind(&Target::Lsn(moments[7].0), None).unwrap();
    insert(&app, "elsewhere");
    for (lsn, digest, count) in moments {
        let at = db.at(&Target::Lsn(lsn)).unwrap();
        assert_eq!(at.lsn(), lsn);
        assert_eq!(rows(&past(&at)).len(), count);
        assert_eq!(at.digest().unwrap(), digest);
    }
}

#[test]
fn the_present_of_a_rollback_mode_is_kept_once_it_is_asked_for() {
    let world = World::new("delete", 4096);
    let (db, app) = (world.record(), world.connect());
    world.fill(&app, 0..50);
    db.mark("before").unwrap();
    world.fill(&app, 50..100);
    let now = Target::Lsn(db.now().unwrap());
    let at = db.at(&now).unwrap();
    let digest = db.digest().unwrap();
    app.execute_batch("update t set v = 'other'").unwrap();
    assert_eq!(at.digest().unwrap(), digest);
    assert_eq!(world.count(&past(&at)), 100);
    // Not asked for in time.
    let passed = db.now().unwrap();
    app.execute_batch("delete from t").unwrap();
    assert_eq!(db.at(&Target::Lsn(passed)).unwrap_err().code(), Code::MarkNotFound);
}

#[test]
fn a_name_in_an_uri_is_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a b%41?x=1#@ü");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("b@1.1?c.db");
    let app =
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
            .unwrap();
    app.execute_batch("pragma journal_mode=wal; create table t(id integer primary key, x)").unwrap();
    let db = record(&path, &unsynced());
    insert(&app, "here");
    db.mark("m").unwrap();
    app.execute_batch("delete from t").unwrap();
    assert_eq!(rows(&past(&db.at(&to("m")).unwrap())), ["here"]);
}

#[test]
fn after_the_close_nothing_is_read() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    churn(&app, "x");
    db.mark("m").unwrap();
    let at = db.at(&to("m")).unwrap();
    let open = past(&at);
    open.execute_batch("pragma cache_size = 1").unwrap();
    db.close().unwrap();
    let failed = open.query_row("select sum(length(x)) from t", [], |row| row.get::<_, i64>(0)).unwrap_err();
    assert!(failed.to_string().contains("I/O"), "{failed}");
    assert_eq!(at.failure().unwrap(), "this recording is closed; open a new one");
    assert_eq!(at.digest().unwrap_err().code(), Code::Closed);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    assert!(Connection::open_with_flags(at.uri(), flags).is_err());
}

#[test]
fn a_clone_replaces_nothing() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    insert(&app, "one");
    db.mark("m").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.db");
    for taken in ["copy.db", "copy.db-wal", "copy.db-journal"] {
        let taken = dir.path().join(taken);
        std::fs::write(&taken, "mine").unwrap();
        let error = db.clone_to(&to("m"), &path).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.to_string().contains(taken.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
        std::fs::remove_file(taken).unwrap();
    }
    assert_eq!(db.clone_to(&to("n"), &path).unwrap_err().code(), Code::MarkNotFound);
    let nowhere = Path::new("/nowhere/at/all.db");
    assert_eq!(db.clone_to(&to("m"), nowhere).unwrap_err().code(), Code::FileMissing);
    assert_eq!(
        db.clone_to(&to("m"), dir.path().parent().unwrap()).unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    db.clone_to(&to("m"), &path).unwrap();
    assert_eq!(rows(&Connection::open(&path).unwrap()), ["one"]);
}

#[test]
fn a_clone_has_the_journal_mode_of_its_moment() {
    let world = World::new("delete", 4096);
    let (db, app) = (world.record(), world.connect());
    world.fill(&app, 0..10);
    db.mark("delete").unwrap();
    app.execute_batch("pragma journal_mode = wal").unwrap();
    world.fill(&app, 10..20);
    db.mark("wal").unwrap();
    for (mark, count) in [("delete", 10), ("wal", 20)] {
        let (_dir, copy) = copy(&db, &to(mark));
        let mode: String = copy.query_row("pragma journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!((mode.as_str(), world.count(&copy)), (mark, count));
        is_sound(&copy);
    }
}
