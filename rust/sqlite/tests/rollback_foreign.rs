//! Writes and files that the recording did not see: refuse, never rewind half.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]
#![allow(unsafe_code, reason = "what SQLite calls can only be looked at through C")]

mod support;

use dbrewind_sqlite::{Code, Database, MarkState, SqliteApi, Target};
use rusqlite::ffi;
use support::{MODES, World};

/// A plain program commits, before or between our own commits.
#[test]
fn foreign_writer_rollback() {
    for own_commit_after in [false, true] {
        let world = World::new("delete", 4096);
        let db = world.record();
        let c = world.connect();
        world.fill(&c, 0..10);
        db.mark("m").unwrap();
        world.fill(&c, 10..20);
        let mut shell = world.shell();
        shell.run("insert into t values (1000, 'foreign');");
        if own_commit_after {
            world.fill(&c, 20..30);
            world.fill(&c, 30..40);
        }
        let before = db.digest().unwrap();
        let error = db.rewind(&Target::from("m"), None).unwrap_err();
        assert_eq!(error.code(), Code::NotAttached, "{error}");
        let who = format!("process {} (sqlite3)", shell.pid());
        for part in
            [&*who, "it was written last at 2", "`dbrewind run`", "?vfs=dbrewind", "`dbrewind doctor`"]
        {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(db.now().unwrap_err().code(), Code::NotAttached);
        assert_eq!(db.digest().unwrap(), before, "nothing was changed");
        // A new mark begins anew; what lies before it is lost, and says so.
        let count = world.count(&c);
        db.mark("n").unwrap();
        let marks = db.marks().unwrap();
        assert_eq!(marks[0].state, MarkState::Lost);
        assert_eq!(db.rewind(&Target::from("m"), None).unwrap_err().code(), Code::MarkLost);
        world.fill(&c, 50..60);
        db.rewind(&Target::from("n"), None).unwrap();
        assert_eq!(world.count(&c), count);
        assert_eq!(db.digest().unwrap(), before);
    }
}

/// A connection that was there before the shim writes past it.
#[test]
fn opened_before_vfs() {
    for mode in MODES {
        let world = World::new(mode, 4096);
        let old = world.connect_by("unix");
        let db = world.record();
        let c = world.connect();
        world.fill(&c, 0..10);
        db.mark("m").unwrap();
        world.fill(&old, 10..20);
        let error = db.rewind(&Target::from("m"), None).unwrap_err();
        assert_eq!(error.code(), Code::NotAttached, "{mode}: {error}");
    }
}

/// A connection through the shim, opened before anybody recorded the file, is recorded from then on.
#[test]
fn opened_before_recording() {
    let first = World::new("delete", 4096);
    let _installs_the_shim = first.record();
    let world = World::new("delete", 4096);
    let c = world.connect();
    world.fill(&c, 0..10);
    let db = world.record();
    db.mark("m").unwrap();
    world.fill(&c, 10..20);
    db.rewind(&Target::from("m"), None).unwrap();
    assert_eq!(world.count(&c), 10);
    world.check(&c);
}

/// Between two recordings somebody wrote, or nobody did.
#[test]
fn kept_or_lost_between_recordings() {
    for foreign in [false, true] {
        let world = World::new("delete", 4096);
        let db = world.record();
        let c = world.connect();
        world.fill(&c, 0..10);
        db.mark("m").unwrap();
        world.fill(&c, 10..20);
        drop(db);
        if foreign {
            world.plain("insert into t values (1000, 'x')");
        }
        let db = world.record();
        let state = db.marks().unwrap()[0].state;
        if foreign {
            assert_eq!(state, MarkState::Lost);
            assert_eq!(db.rewind(&Target::from("m"), None).unwrap_err().code(), Code::MarkLost);
        } else {
            assert_eq!(state, MarkState::Archived);
            world.fill(&c, 30..40);
            db.rewind(&Target::from("m"), None).unwrap();
            assert_eq!(world.count(&c), 10);
        }
    }
}

/// The name leads to another file now: what was rewound would be one that nobody sees.
#[test]
fn recreated_file() {
    let world = World::new("delete", 4096);
    let db = world.record();
    let c = world.connect();
    world.fill(&c, 0..10);
    db.mark("m").unwrap();
    drop(c);
    std::fs::remove_file(world.path()).unwrap();
    world.plain("create table t(id integer primary key, v text); insert into t values (1, 'new')");
    for error in [
        db.rewind(&Target::from("m"), None).unwrap_err(),
        db.mark("n").unwrap_err(),
        db.digest().unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::FileReplaced, "{error}");
    }
    assert_eq!(world.plain("select v from t"), "new");
    db.close().unwrap();
    let db = world.record();
    assert_eq!(db.marks().unwrap()[0].state, MarkState::Lost);
    db.mark("n").unwrap();
}

#[test]
fn memory_db_refused() {
    let world = World::new("delete", 4096);
    for name in [":memory:", "file::memory:?cache=shared", "file:x?mode=memory", "file:/x?vfs=memdb"] {
        let refused = Database::open(SqliteApi::bundled(), name.as_ref(), &world.options());
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{name}: {error}");
        assert!(error.to_string().contains("/dev/shm"), "{error}");
    }
    // To SQLite that is a temporary database; more likely it is a mistake.
    let error = Database::open(SqliteApi::bundled(), "".as_ref(), &world.options()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

/// A file that is none, or not ours to read.
#[test]
fn not_a_database() {
    let world = World::new("delete", 4096);
    std::fs::write(world.path(), vec![7; 8192]).unwrap();
    assert_eq!(world.try_record().unwrap_err().code(), Code::NotADatabase);
    std::fs::remove_file(world.path()).unwrap();
    assert_eq!(world.try_record().unwrap_err().code(), Code::FileMissing);
}

/// An empty file can be recorded; its first mark gives it a page.
#[test]
fn empty_file() {
    let world = World::new("delete", 4096);
    std::fs::write(world.path(), []).unwrap();
    let db = world.record();
    let c = world.connect();
    db.mark("empty").unwrap();
    c.execute_batch("create table t(id integer primary key, v text)").unwrap();
    world.fill(&c, 0..50);
    db.mark("full").unwrap();
    db.rewind(&Target::from("empty"), None).unwrap();
    assert_eq!(world.plain("select count(*) from sqlite_schema"), "0");
    db.rewind(&Target::from("full"), None).unwrap();
    assert_eq!(world.count(&c), 50);
    world.check(&c);
}

/// Where the methods of a connection's database file are.
fn file_methods(connection: &rusqlite::Connection) -> usize {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    // SAFETY: SQLite stores a pointer to the file, which is as alive as the connection.
    unsafe {
        let op = ffi::SQLITE_FCNTL_FILE_POINTER;
        let out = (&raw mut file).cast();
        assert_eq!(ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), op, out), 0);
        (*file).pMethods as usize
    }
}

/// What a VFS opens and deletes files with, and asks for them.
fn vfs_methods(name: &std::ffi::CStr) -> [usize; 3] {
    // SAFETY: a registered VFS lives for ever.
    let vfs = unsafe { &*ffi::sqlite3_vfs_find(name.as_ptr()) };
    [
        vfs.xOpen.map_or(0, |f| f as usize),
        vfs.xDelete.map_or(0, |f| f as usize),
        vfs.xAccess.map_or(0, |f| f as usize),
    ]
}

/// A connection that was open before the shim is left alone: no method of it is replaced, and it works on as before.
#[test]
fn late_hijack() {
    for mode in MODES {
        let world = World::new(mode, 4096);
        let old = world.connect_by("unix");
        world.fill(&old, 0..10);
        let methods = file_methods(&old);
        let half = {
            let mut statement = old.prepare("select id from t").unwrap();
            let mut rows = statement.query([]).unwrap();
            rows.next().unwrap();
            let db = world.record();
            db.mark("m").unwrap();
            // In the midst of a statement, over the beginning of the recording.
            let mut rest = 0;
            while rows.next().unwrap().is_some() {
                rest += 1;
            }
            drop(rows);
            db.close().unwrap();
            rest
        };
        assert_eq!(half, 9, "{mode}");
        assert_eq!(file_methods(&old), methods, "{mode}: methods of an open file were replaced");
        // All unix VFSes have these in common.
        assert_eq!(vfs_methods(c"unix"), vfs_methods(c"unix-none"), "{mode}: SQLite's own VFS was changed");
        world.fill(&old, 10..500);
        old.execute_batch("vacuum").unwrap();
        world.check(&old);
        assert_eq!(world.count(&old), 500, "{mode}");
    }
}

/// `immutable=1` promises SQLite that nobody writes: such a reader takes no lock and sees what it has in its cache.
/// It keeps nobody from rewinding, and a new one sees the state it is opened on.
#[test]
fn immutable_nolock() {
    for mode in MODES {
        let world = World::new(mode, 4096);
        let db = world.record();
        let c = world.connect();
        world.fill(&c, 0..300);
        db.mark("m").unwrap();
        world.fill(&c, 300..600);
        let open = || {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
            let name = format!("file:{}?immutable=1", world.path().display());
            rusqlite::Connection::open_with_flags(name, flags).unwrap()
        };
        let early = open();
        let mut statement = early.prepare("select id from t").unwrap();
        let mut rows = statement.query([]).unwrap();
        rows.next().unwrap();
        db.rewind(&Target::from("m"), Some(std::time::Duration::ZERO)).unwrap();
        drop(rows);
        assert_eq!(world.count(&open()), 300, "{mode}");
        assert_eq!(world.count(&c), 300, "{mode}");
        world.check(&c);
    }
}
