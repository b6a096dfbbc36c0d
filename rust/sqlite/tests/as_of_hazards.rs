//! What could make a view of a past moment change, or lie; each test has the hazard's name.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dbrewind_core::Code;
use dbrewind_sqlite::{At, Database, OpenOptions, SqliteApi, Target};
use rusqlite::{Connection, OpenFlags};
use support::child;
use support::wal::{WalWorld, record, rows, to, unsynced};
use support::{MODES, World};

/// A connection to a past moment whose cache holds next to nothing.
fn past(at: &At) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(at.uri(), flags).unwrap();
    connection.execute_batch("pragma cache_size = 1").unwrap();
    connection
}

/// Everything in `t`, summed up.
fn sum(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("select sum(length(x) * id) + count(*) from t", [], |row| row.get(0))
}

/// Reads two moments again and again, in all ways, while `work` goes on for a while.
fn read_during(db: &Database, first: [u8; 16], second: [u8; 16], work: &(dyn Fn(u32) + Sync)) {
    let (a, b) = (db.at(&to("first")).unwrap(), db.at(&to("second")).unwrap());
    let sums = (sum(&past(&a)).unwrap(), sum(&past(&b)).unwrap());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = |digest: [u8; 16], at: At, expected: i64| {
            let over = &over;
            move || {
                let connection = past(&at);
                let mut rounds = 0;
                while !over.load(Ordering::Relaxed) || rounds < 3 {
                    assert_eq!(sum(&connection).unwrap(), expected);
                    assert_eq!(at.digest().unwrap(), digest);
                    rounds += 1;
                }
                let dir = tempfile::tempdir().unwrap();
                db.clone_to(&Target::Lsn(at.lsn()), &dir.path().join("copy.db")).unwrap();
                assert_eq!(sum(&Connection::open(dir.path().join("copy.db")).unwrap()).unwrap(), expected);
            }
        };
        scope.spawn(reader(first, a, sums.0));
        scope.spawn(reader(second, b, sums.1));
        let started = Instant::now();
        let mut round = 0;
        while started.elapsed() < Duration::from_millis(1500) || round < 10 {
            work(round);
            round += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// Some thousand rows, in two moments.
fn two_moments(app: &Connection, db: &Database) -> ([u8; 16], [u8; 16]) {
    let fill = |rows: u32| {
        app.execute_batch("begin").unwrap();
        for row in 0..rows {
            app.execute("insert into t(x) values (?1)", [format!("{row:>400}")]).unwrap();
        }
        app.execute_batch("commit").unwrap();
    };
    fill(400);
    db.mark("first").unwrap();
    let first = db.digest().unwrap();
    fill(400);
    app.execute_batch("update t set x = x || id where id % 5 = 0; delete from t where id % 7 = 0").unwrap();
    db.mark("second").unwrap();
    (first, db.digest().unwrap())
}

fn change(app: &Connection, round: u32) {
    let sql = match round % 4 {
        0 => "update t set x = substr(x, 2) || 'u' where id % 3 = 0",
        1 => "delete from t where id % 11 = 0",
        2 => "insert into t(x) select x || 'i' from t limit 200",
        _ => "update t set x = upper(x)",
    };
    app.execute_batch(sql).unwrap();
}

#[test]
fn checkpoint_during_a_view() {
    let world = WalWorld::with(OpenOptions { wal_limit: 0, ..unsynced() });
    let (app, db) = (world.connect(), world.record());
    let (first, second) = two_moments(&app, &db);
    let app = std::sync::Mutex::new(app);
    read_during(&db, first, second, &|round| {
        change(&app.lock().unwrap(), round);
        // Whatever is there goes into the database file, every 100 ms.
        std::thread::sleep(Duration::from_millis(20));
    });
    let length = std::fs::metadata(world.path()).unwrap().len();
    assert!(length > 200_000, "checkpoints have happened: {length}");
}

#[test]
fn rewind_during_a_view() {
    let world = WalWorld::with(OpenOptions { wal_limit: 100_000, ..unsynced() });
    let (app, db) = (world.connect(), world.record());
    let (first, second) = two_moments(&app, &db);
    let app = std::sync::Mutex::new(app);
    read_during(&db, first, second, &|round| {
        change(&app.lock().unwrap(), round);
        db.rewind(&to(["first", "second"][round as usize % 2]), None).unwrap();
        change(&app.lock().unwrap(), round + 1);
    });
}

fn rollback_world(mode: &str) -> (World, Database, Connection, [u8; 16], [u8; 16]) {
    let world = World::with(mode, "create table x(y)");
    let (db, app) = (world.record(), world.connect());
    app.execute_batch("drop table t; create table t(id integer primary key, x text)").unwrap();
    let (first, second) = two_moments(&app, &db);
    (world, db, app, first, second)
}

#[test]
fn rewind_during_a_view_in_rollback_modes() {
    for mode in ["delete", "persist"] {
        let (_world, db, app, first, second) = rollback_world(mode);
        let app = std::sync::Mutex::new(app);
        read_during(&db, first, second, &|round| {
            let app = app.lock().unwrap();
            change(&app, round);
            db.rewind(&to(["first", "second"][round as usize % 2]), None).unwrap();
            app.execute_batch("begin; pragma cache_size = 1").unwrap();
            change(&app, round + 1);
            app.execute_batch(if round % 3 == 0 { "rollback" } else { "commit" }).unwrap();
        });
    }
}

#[test]
fn vacuum_during_a_view() {
    for mode in ["wal", "truncate"] {
        let (world, db, app, first, second) = if mode == "wal" {
            let (world, db, app, first, second) = rollback_world("delete");
            app.execute_batch("pragma journal_mode = wal").unwrap();
            (world, db, app, first, second)
        } else {
            rollback_world(mode)
        };
        let app = std::sync::Mutex::new(app);
        read_during(&db, first, second, &|round| {
            let app = app.lock().unwrap();
            change(&app, round);
            app.execute_batch("vacuum").unwrap();
        });
        drop(world);
    }
}

/// The file is cut below what the moments had, and grows again with other pages.
#[test]
fn page_count_shrinks_during_a_view() {
    for mode in ["wal", "delete"] {
        let (world, db, app, first, second) = rollback_world("delete");
        if mode == "wal" {
            app.execute_batch("pragma journal_mode = wal").unwrap();
        }
        let app = std::sync::Mutex::new(app);
        read_during(&db, first, second, &|_| {
            let app = app.lock().unwrap();
            app.execute_batch("delete from t; vacuum").unwrap();
            for _ in 0..40 {
                app.execute("insert into t(x) values (zeroblob(9000))", []).unwrap();
            }
            db.rewind(&to("first"), None).unwrap();
        });
        drop(world);
    }
}

#[test]
fn journal_mode_changes_during_a_view() {
    let (world, db, app, first, second) = rollback_world("delete");
    let at = db.at(&to("second")).unwrap();
    let view = past(&at);
    let expected = sum(&view).unwrap();
    let check = |db: &Database| {
        assert_eq!(sum(&past(&db.at(&to("second")).unwrap())).unwrap(), expected);
        assert_eq!(db.at(&to("first")).unwrap().digest().unwrap(), first);
        assert_eq!(db.at(&to("second")).unwrap().digest().unwrap(), second);
    };
    app.execute_batch("pragma journal_mode = wal").unwrap();
    change(&app, 0);
    assert_eq!(sum(&view).unwrap(), expected);
    check(&db);
    change(&app, 1);
    check(&db);
    drop((view, app));
    db.close().unwrap();
    let back = OpenOptions { journal: Some(dbrewind_sqlite::Journal::Delete), ..world.options() };
    let db = Database::open(SqliteApi::bundled(), &world.path(), &back).unwrap();
    check(&db);
    let app = world.connect();
    change(&app, 3);
    check(&db);
}

/// The handle that the view is of has read nothing of the log since before the switch, which another one made.
#[test]
fn a_view_is_read_that_knows_nothing_of_a_switch_to_wal_mode() {
    let (world, db, app, ..) = rollback_world("delete");
    let expected = sum(&past(&db.at(&to("second")).unwrap())).unwrap();
    drop((db, app));
    for round in 0..60 {
        let journal = Some(dbrewind_sqlite::Journal::Delete);
        let options = OpenOptions { journal, wal_limit: 0, ..world.options() };
        let other = Database::open(SqliteApi::bundled(), &world.path(), &options).unwrap();
        let db = Database::open(SqliteApi::bundled(), &world.path(), &options).unwrap();
        let app = world.connect();
        let view = past(&db.at(&to("second")).unwrap());
        app.execute_batch("pragma journal_mode = wal").unwrap();
        change(&app, round);
        other.mark(&format!("round {round}")).unwrap();
        change(&app, round + 1);
        for _ in 0..20 {
            assert_eq!(sum(&view).unwrap(), expected);
        }
        drop((view, app));
        other.close().unwrap();
        db.close().unwrap();
    }
}

/// An unrecorded commit: what is in the file is not known any more. What is in the store is.
#[test]
fn foreign_writer_during_a_view() {
    let (world, db, app, ..) = rollback_world("delete");
    let at = db.at(&to("second")).unwrap();
    let (view, older) = (past(&at), past(&db.at(&to("first")).unwrap()));
    let expected = sum(&older).unwrap();
    sum(&view).unwrap();
    drop(app);
    let mut shell = world.shell();
    // A page goes, and may be read from the file no longer; whatever is answered must not be wrong.
    shell.run("update t set x = 'foreign' where id between 100 and 200;");
    let failed = sum(&view).unwrap_err();
    assert!(failed.to_string().contains("I/O"), "{failed}");
    assert!(at.failure().unwrap().contains("without being recorded"), "{:?}", at.failure());
    assert_eq!(at.digest().unwrap_err().code(), Code::NotAttached);
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.db");
    assert_eq!(db.clone_to(&to("second"), &copy).unwrap_err().code(), Code::NotAttached);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of it");
    assert_eq!(sum(&older).unwrap(), expected, "all of its table is in the store");
}

/// An unrecorded writer that has not committed, but has written pages to the file already.
#[test]
fn foreign_spill_during_a_view() {
    let (world, db, app, _, second) = rollback_world("delete");
    drop((db, app));
    let options = OpenOptions { timeout: Duration::from_millis(300), ..world.options() };
    let db = Database::open(SqliteApi::bundled(), &world.path(), &options).unwrap();
    let at = db.at(&to("second")).unwrap();
    assert_eq!(at.digest().unwrap(), second);
    let view = past(&at);
    let mut shell = world.shell();
    shell.run("pragma cache_size = 1; begin; update t set x = 'foreign';");
    // It has EXCLUSIVE, and the counter is still the old one.
    assert_eq!(at.digest().unwrap_err().code(), Code::Busy);
    assert!(sum(&view).is_err());
    shell.run("rollback;");
    assert_eq!(at.digest().unwrap(), second);
    // Nor does one disturb that has not written yet.
    shell.run("begin immediate;");
    assert_eq!(at.digest().unwrap(), second);
    shell.run("commit;");
}

/// Whoever writes in WAL mode is recorded, known or not.
#[test]
fn foreign_writer_in_wal_mode_is_no_hazard() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    let (first, second) = two_moments(&app, &db);
    let (a, b) = (db.at(&to("first")).unwrap(), db.at(&to("second")).unwrap());
    world.plain(&["delete from t", "pragma wal_checkpoint(passive)", "insert into t(x) values ('foreign')"]);
    assert_eq!((a.digest().unwrap(), b.digest().unwrap()), (first, second));
}

/// Two recordings: the view is from the one that does not have the freeze; then the other one ends.
#[test]
fn the_freeze_is_another_recordings() {
    let world = WalWorld::with(OpenOptions { wal_limit: 0, ..unsynced() });
    let (app, holder) = (world.connect(), world.record());
    let (first, second) = two_moments(&app, &holder);
    let db = world.record();
    let app = std::sync::Mutex::new(app);
    read_during(&db, first, second, &|round| {
        change(&app.lock().unwrap(), round);
        std::thread::sleep(Duration::from_millis(20));
    });
    let (a, b) = (db.at(&to("first")).unwrap(), db.at(&to("second")).unwrap());
    holder.close().unwrap();
    assert_eq!((a.digest().unwrap(), b.digest().unwrap()), (first, second));
    change(&app.lock().unwrap(), 1);
    assert_eq!((a.digest().unwrap(), b.digest().unwrap()), (first, second));
}

#[test]
#[ignore = "run by the_holder_is_killed_during_a_view"]
fn child_holds() {
    let path = child::path();
    let app = Connection::open(&path).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    let db = record(&path, &OpenOptions { wal_limit: u64::MAX, ..unsynced() });
    two_moments(&app, &db);
    // A whole back-fill later, so that pages of both moments are in the file.
    drop(app);
    child::wait_for_the_kill();
}

/// The process with the freeze dies. Then somebody brings frames into the file that nobody saved: never a wrong page.
#[test]
fn the_holder_is_killed_during_a_view() {
    for foreign in [false, true] {
        let world = WalWorld::with(OpenOptions { wal_limit: u64::MAX, ..unsynced() });
        let company = world.connect();
        assert_eq!(rows(&company), Vec::<String>::new());
        let holder = child::start("child_holds", &world.path());
        let db = world.record();
        let (a, b) = (db.at(&to("first")).unwrap(), db.at(&to("second")).unwrap());
        let (first, second) = (a.digest().unwrap(), b.digest().unwrap());
        let view = past(&a);
        let expected = sum(&view).unwrap();
        child::kill(holder);
        if foreign {
            // Before our tail looks: as fast as somebody can be.
            company.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())).unwrap();
        }
        let right = |at: &At, digest: [u8; 16]| match at.digest() {
            Ok(found) => assert_eq!(found, digest),
            Err(error) => {
                assert!(foreign, "{error}");
                assert!(
                    matches!(error.code(), Code::NotAttached | Code::MarkNotFound | Code::MarkLost),
                    "{error}"
                );
            }
        };
        for _ in 0..20 {
            right(&a, first);
            right(&b, second);
            if let Ok(found) = sum(&view) {
                assert_eq!(found, expected);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A mark's name goes; what it named stays readable for who asked before.
#[test]
fn the_mark_is_dropped_during_a_view() {
    for mode in MODES {
        let (_world, db, app, first, _) = rollback_world(mode);
        let at = db.at(&to("first")).unwrap();
        db.drop_mark("first").unwrap();
        change(&app, 0);
        db.mark("third").unwrap();
        change(&app, 3);
        assert_eq!(at.digest().unwrap(), first);
    }
}

/// Whether the file system of a folder has files without a name.
#[cfg(feature = "fault")]
fn unnamed_files_exist(folder: &std::path::Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(folder).is_ok()
}

#[cfg(feature = "fault")]
#[test]
#[ignore = "run by a_clone_is_killed"]
fn child_clones() {
    let path = child::path();
    let db = record(&path, &unsynced());
    db.clone_to(&to("first"), &path.with_file_name("copy.db")).unwrap();
    db.close().unwrap();
}

/// At every step: there is no file of the name, or the whole one. And nothing is left, where files need no name.
#[cfg(feature = "fault")]
#[test]
fn a_clone_is_killed() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    let (first, _) = two_moments(&app, &db);
    let copy = world.path().with_file_name("copy.db");
    db.close().unwrap();
    for place in ["clone: one piece", "clone: written", "clone: synced", "clone: named"] {
        assert!(child::dies_at("child_clones", &world.path(), &format!("1 {place}")), "{place}");
        assert_eq!(copy.exists(), place == "clone: named", "{place}");
        let beside = std::fs::read_dir(copy.parent().unwrap()).unwrap();
        let left = beside.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(".copy.db"));
        assert!(!left || !unnamed_files_exist(copy.parent().unwrap()), "{place}");
    }
    let copied = record(&copy, &unsynced());
    assert_eq!(copied.digest().unwrap(), first);
    let taken = world.record().clone_to(&to("first"), &copy).unwrap_err();
    assert_eq!(taken.code(), Code::InvalidArgument);
}
