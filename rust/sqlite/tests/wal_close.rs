//! What a recording leaves behind when it is closed, and what programs that do not know us make of it, in WAL mode.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test panics")]

mod support;

use dbrewind_core::Code;
use dbrewind_sqlite::{Database, MarkState, OpenOptions, Synchronous};
use rusqlite::Connection;
use support::restart;
use support::wal::{WalWorld, insert, rows, to, unsynced};

/// The bytes of a WAL without frames, as `close` leaves it.
const BARE: u64 = 24;

const READ: &str = "SELECT count(*) FROM t";
const WRITE: &str = "INSERT INTO t(x) VALUES('foreign')";

/// A recording with two marks and a commit after them, which is then closed by somebody who was alone in the end.
fn closed(options: OpenOptions) -> WalWorld {
    let scene = WalWorld::with(options);
    {
        let app = scene.connect();
        insert(&app, "zero");
        let database = scene.record();
        database.mark("first").unwrap();
        insert(&app, &"one ".repeat(3000));
        database.mark("second").unwrap();
        insert(&app, "two");
        drop(app);
        database.close().unwrap();
    }
    scene
}

fn every(synchronous: Synchronous) -> OpenOptions {
    OpenOptions { synchronous, ..OpenOptions::default() }
}

fn states(database: &Database) -> Vec<MarkState> {
    database.marks().unwrap().iter().map(|mark| mark.state).collect()
}

/// Both marks are there and mean what they meant; `now`: how many rows there are before.
fn assert_kept(scene: &WalWorld, now: usize, what: &str) {
    let app = scene.connect();
    assert_eq!(rows(&app).len(), now, "{what}");
    let database = scene.record();
    assert!(states(&database).iter().all(|state| *state != MarkState::Lost), "{what}");
    database.mark("now").unwrap();
    for (name, kept) in [("first", 1), ("now", now), ("second", 2), ("first", 1), ("now", now)] {
        database.rewind(&to(name), None).unwrap_or_else(|error| panic!("{name}, {what}: {error}"));
        assert_eq!(rows(&app).len(), kept, "{name}, {what}");
    }
    let check: String = app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

fn assert_lost(scene: &WalWorld, what: &str) {
    let database = scene.record();
    assert!(states(&database).iter().all(|state| *state == MarkState::Lost), "{what}");
    let error = database.rewind(&to("first"), None).unwrap_err();
    assert_eq!(error.code(), Code::MarkLost, "{what}");
}

/// A program that is alone brings the WAL into the database file when it closes it, unless there is nothing to bring.
#[test]
fn marks_outlast_lone_readers() {
    for synchronous in [Synchronous::Off, Synchronous::Normal, Synchronous::Full] {
        let scene = closed(every(synchronous));
        for _ in 0..2 {
            assert_eq!(scene.plain(&[READ]), "[(3,)]\n");
        }
        assert_kept(&scene, 3, &format!("{synchronous:?}"));
    }
}

/// The WAL has no frames then, but is there, which a power cut makes count; and it is cut in no other case.
#[test]
fn close_leaves_a_wal_without_frames() {
    let scene = closed(unsynced());
    assert_eq!(std::fs::metadata(scene.wal()).unwrap().len(), BARE);
    assert_kept(&scene, 3, "nobody in between");
    let app = scene.connect();
    let database = scene.record();
    insert(&app, "with company");
    let before = std::fs::metadata(scene.wal()).unwrap().len();
    database.close().unwrap();
    assert_eq!(std::fs::metadata(scene.wal()).unwrap().len(), before, "a connection is there");
}

/// Who may not write the wal-index makes one of its own, and takes a WAL with a header for one that somebody changes, unless it
/// knows the salts: it has none without frames.
#[test]
fn readers_that_may_not_write_can_read() {
    let scene = closed(unsynced());
    let wal = std::fs::read(scene.wal()).unwrap();
    let name = format!("file:{}?mode=ro&readonly_shm=1", scene.path().display());
    let app = Connection::open(name).unwrap();
    assert_eq!(app.query_row(READ, [], |row| row.get::<_, i64>(0)).unwrap(), 3);
    drop(app);
    assert_eq!(std::fs::read(scene.wal()).unwrap(), wal);
    assert_kept(&scene, 3, "a reader that may not write");
}

/// Whoever writes alone is noticed, also when nobody can see it from the length of anything.
#[test]
fn a_lone_writer_is_noticed() {
    for (statements, what) in [
        (&[WRITE][..], "a row more"),
        (&["UPDATE t SET x = 'eno' || substr(x, 4) WHERE id = 2"], "the same length"),
        (&[READ, WRITE, "DELETE FROM t WHERE x = 'foreign'"], "taken back"),
    ] {
        let scene = closed(unsynced());
        let size = || std::fs::metadata(scene.path()).unwrap().len();
        let before = size();
        scene.plain(statements);
        assert_eq!(size(), before, "{what}");
        assert_lost(&scene, what);
    }
}

/// What was committed by others and is in the WAL alone came after it all.
#[test]
fn commits_in_a_new_wal_go_on_with_the_history() {
    let scene = closed(unsynced());
    let mut shell = std::process::Command::new("sqlite3");
    let mut shell = shell.arg(scene.path()).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.as_ref().unwrap(), format!("{WRITE};\n").as_bytes()).unwrap();
    while std::fs::metadata(scene.wal()).map_or(0, |wal| wal.len()) <= BARE {
        std::thread::yield_now();
    }
    // Its commit is a matter of microseconds more; who reads waits for it, or for its end.
    std::thread::sleep(std::time::Duration::from_millis(100));
    shell.kill().unwrap();
    shell.wait().unwrap();
    assert_kept(&scene, 4, "a program that was killed");
}

/// Connections from before `close` see and write what they did; the last one to close takes the WAL away and writes nothing.
#[test]
fn company_at_the_close_keeps_the_marks() {
    for write in [false, true] {
        let scene = WalWorld::with(unsynced());
        let app = scene.connect();
        insert(&app, "zero");
        let database = scene.record();
        database.mark("first").unwrap();
        insert(&app, "one");
        database.mark("second").unwrap();
        insert(&app, "two");
        database.close().unwrap();
        drop(database);
        assert_eq!(rows(&app).len(), 3);
        if write {
            insert(&app, "unrecorded");
            drop(app);
            assert_lost(&scene, "written by a connection from before");
            continue;
        }
        drop(app);
        assert!(!scene.wal().exists());
        scene.plain(&[READ]);
        assert_kept(&scene, 3, "read by a connection from before");
    }
}

/// A second recording goes on with the WAL as it is.
#[test]
fn another_recording_goes_on() {
    let scene = WalWorld::with(unsynced());
    let (first, second) = (scene.record(), scene.record());
    let app = Connection::open(scene.path()).unwrap();
    first.mark("zero").unwrap();
    insert(&app, "one");
    drop(app);
    first.close().unwrap();
    let app = scene.connect();
    insert(&app, "two");
    second.mark("two").unwrap();
    second.rewind(&to("zero"), None).unwrap();
    assert_eq!(rows(&app).len(), 0);
    drop(app);
    second.close().unwrap();
    assert_eq!(scene.plain(&[READ]), "[(0,)]\n");
    let third = scene.record();
    third.rewind(&to("two"), None).unwrap();
    assert_eq!(scene.plain(&[READ]), "[(2,)]\n");
}

/// After a power cut only a WAL proves that nobody has written: this one, without a frame.
#[test]
fn a_power_cut_after_close() {
    for synchronous in [Synchronous::Normal, Synchronous::Full] {
        let scene = closed(every(synchronous));
        restart(&scene.dir.path().join("app.db-rewind"));
        assert_kept(&scene, 3, "nobody in between");
    }
    let scene = closed(every(Synchronous::Normal));
    scene.plain(&[READ]);
    restart(&scene.dir.path().join("app.db-rewind"));
    assert_lost(&scene, "a reader has taken the WAL away: who knows whether it was the only one");
    let scene = closed(every(Synchronous::Normal));
    scene.plain(&[WRITE]);
    restart(&scene.dir.path().join("app.db-rewind"));
    assert_lost(&scene, "a writer");
    // A header of another generation, as a writer leaves one whose first frame never got to the disk.
    let scene = closed(every(Synchronous::Normal));
    let mut header = std::fs::read(scene.wal()).unwrap();
    let other = closed(every(Synchronous::Normal));
    header.copy_from_slice(&std::fs::read(other.wal()).unwrap());
    std::fs::write(scene.wal(), header).unwrap();
    restart(&scene.dir.path().join("app.db-rewind"));
    assert_lost(&scene, "another generation");
}

/// `fdatasync` writes no times: those on the disk may be of any earlier write.
#[test]
fn hazard_a_power_cut_after_close_takes_the_times_of_the_file() {
    for synchronous in [Synchronous::Normal, Synchronous::Full] {
        let scene = closed(every(synchronous));
        let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(7);
        std::fs::File::options().write(true).open(scene.path()).unwrap().set_modified(earlier).unwrap();
        restart(&scene.dir.path().join("app.db-rewind"));
        assert_kept(&scene, 3, "times of an earlier write");
    }
    // Without one they tell.
    let scene = closed(every(Synchronous::Normal));
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(7);
    std::fs::File::options().write(true).open(scene.path()).unwrap().set_modified(earlier).unwrap();
    assert_lost(&scene, "somebody wrote");
}

#[cfg(feature = "fault")]
mod killed {
    use super::*;
    use support::child;

    #[test]
    #[ignore = "run by kills_in_the_midst_of_close"]
    fn child_dies_in_close() {
        let path = child::path();
        let app = Connection::open(&path).unwrap();
        let database = support::wal::record(&path, &every(Synchronous::Normal));
        database.mark("first").unwrap();
        insert(&app, "one");
        database.mark("second").unwrap();
        insert(&app, "two");
        drop(app);
        database.close().unwrap();
        drop(database);
    }

    /// From the moment at which the WAL is bare a lone reader does no harm, and never does anything else.
    #[test]
    fn kills_in_the_midst_of_close() {
        for (place, bare) in [("index invalid", false), ("wal cut", true), ("wal synced", true)] {
            for between in [None, Some(READ), Some(WRITE)] {
                for power_cut in [false, true] {
                    let what = format!("{place}, {between:?}, power cut: {power_cut}");
                    let scene = WalWorld::with(every(Synchronous::Normal));
                    scene.plain(&["INSERT INTO t(x) VALUES('zero')"]);
                    let at = format!("1 wal close: {place}");
                    assert!(child::dies_at("killed::child_dies_in_close", &scene.path(), &at), "{what}");
                    if power_cut {
                        restart(&scene.dir.path().join("app.db-rewind"));
                    }
                    if let Some(statement) = between {
                        scene.plain(&[statement]);
                    }
                    match between {
                        None => assert_kept(&scene, 3, &what),
                        Some(READ) if bare && !power_cut => assert_kept(&scene, 3, &what),
                        _ => assert_lost(&scene, &what),
                    }
                }
            }
        }
    }
}

/// Of a database in whose place another one is nothing can be gone back to: no more can be missing. Of one that was moved away the
/// last commits are.
#[test]
fn a_recording_ends_after_the_file_has_gone() {
    for replaced in [true, false] {
        let world = WalWorld::with(unsynced());
        let app = world.connect();
        let db = world.record();
        db.mark("m").unwrap();
        insert(&app, "last");
        std::fs::rename(world.path(), world.dir.path().join("elsewhere.db")).unwrap();
        if replaced {
            std::fs::write(world.path(), []).unwrap();
            db.close().unwrap();
        } else {
            assert_eq!(db.close().unwrap_err().code(), Code::FileReplaced);
        }
        assert_eq!(db.mark("n").unwrap_err().code(), Code::Closed);
    }
}
