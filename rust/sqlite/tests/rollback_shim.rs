//! The shim as a VFS: names, copies of SQLite, loading as an extension.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]
#![allow(unsafe_code, reason = "what C programs do")]

mod support;

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;

use dbrewind_sqlite::{Code, Database, SqliteApi, Target};
use rusqlite::{Connection, ffi};
use support::World;
use support::wal::WalWorld;

/// URI parameters live behind the name's NUL: the real VFS must get the same pointer.
#[test]
fn uri_name_pointer() {
    let world = World::new("delete", 4096);
    let _db = world.record();
    for (parameter, expected) in [("psow=0", 0), ("psow=1", 1)] {
        let uri = format!("file:{}?vfs=dbrewind&{parameter}", world.path().display());
        let c = Connection::open(uri).unwrap();
        let mut answer: c_int = -1;
        // SAFETY: the connection is open; this control reads and writes one int.
        let code = unsafe {
            ffi::sqlite3_file_control(
                c.handle(),
                c"main".as_ptr(),
                ffi::SQLITE_FCNTL_POWERSAFE_OVERWRITE,
                (&raw mut answer).cast::<c_void>(),
            )
        };
        assert_eq!((code, answer), (0, expected), "{parameter}");
    }
}

/// Another SQLite in this process, as programs have that mix languages.
struct Other {
    library: *mut c_void,
    api: SqliteApi,
}

const LIBRARY: &str = "libsqlite3.so.0";

impl Other {
    fn load() -> Option<Self> {
        let Ok(api) = SqliteApi::from_library(Path::new(LIBRARY)) else {
            assert!(std::env::var_os("CI").is_none(), "CI must have {LIBRARY}");
            eprintln!("SKIPPED: there is no {LIBRARY}");
            return None;
        };
        // SAFETY: it is loaded already.
        let library = unsafe { libc::dlopen(CString::new(LIBRARY).unwrap().as_ptr(), libc::RTLD_NOW) };
        Some(Self { library, api })
    }

    fn function(&self, name: &str) -> *mut c_void {
        // SAFETY: an open library and a C string.
        let found = unsafe { libc::dlsym(self.library, CString::new(name).unwrap().as_ptr()) };
        assert!(!found.is_null());
        found
    }

    /// Opens a database and runs statements. The connection stays open.
    fn run(&self, path: &Path, sql: &str) {
        let db = self.open(path);
        self.execute(db, sql);
    }

    fn open(&self, path: &Path) -> *mut c_void {
        type Open = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
        let path = CString::new(path.to_str().unwrap()).unwrap();
        let mut db = std::ptr::null_mut();
        // SAFETY: the function has this signature in every SQLite 3.
        unsafe {
            let open = std::mem::transmute::<*mut c_void, Open>(self.function("sqlite3_open"));
            assert_eq!(open(path.as_ptr(), &raw mut db), 0);
        }
        db
    }

    fn execute(&self, db: *mut c_void, sql: &str) {
        type Exec = unsafe extern "C" fn(
            *mut c_void,
            *const c_char,
            *mut c_void,
            *mut c_void,
            *mut *mut c_char,
        ) -> c_int;
        let sql = CString::new(sql).unwrap();
        // SAFETY: the function has this signature in every SQLite 3, and the connection is open.
        unsafe {
            let exec = std::mem::transmute::<*mut c_void, Exec>(self.function("sqlite3_exec"));
            let null = std::ptr::null_mut;
            assert_eq!(exec(db, sql.as_ptr(), null(), null(), std::ptr::null_mut()), 0);
        }
    }
}

/// Each copy has a VFS list of its own; one struct in two lists would link them together.
#[test]
fn vfs_per_sqlite_copy() {
    let Some(other) = Other::load() else { return };
    let (mine, theirs) = (World::new("delete", 4096), World::new("delete", 4096));
    let db = mine.record();
    let db_other = Database::open(other.api, &theirs.path(), &theirs.options()).unwrap();
    assert_ne!(other.api.identity(), SqliteApi::bundled().identity());
    let (m, n) = (db.mark("m").unwrap(), db_other.mark("m").unwrap());
    let c = mine.connect();
    mine.fill(&c, 0..10);
    other.run(&theirs.path(), "insert into t values (1, 'by the other copy')");
    assert!(db.now().unwrap() > m.lsn && db_other.now().unwrap() > n.lsn);
    db.rewind(&Target::from("m"), None).unwrap();
    db_other.rewind(&Target::from("m"), None).unwrap();
    assert_eq!(mine.count(&c), 0);
    assert_eq!(theirs.plain("select count(*) from t"), "0");
    // The list ends, and has our name once.
    let mut names = Vec::new();
    // SAFETY: the list belongs to SQLite; nobody registers meanwhile but with the same names.
    unsafe {
        let mut vfs = ffi::sqlite3_vfs_find(std::ptr::null());
        while !vfs.is_null() && names.len() < 20 {
            names.push(std::ffi::CStr::from_ptr((*vfs).zName).to_str().unwrap().to_owned());
            vfs = (*vfs).pNext;
        }
    }
    assert_eq!(names.iter().filter(|name| *name == "dbrewind").count(), 1, "{names:?}");
    assert!(names.len() < 20);
}

/// Two copies on one file would drop each other's locks.
#[test]
fn second_sqlite_copy() {
    let Some(other) = Other::load() else { return };
    let world = World::new("delete", 4096);
    other.run(&world.path(), "select count(*) from t");
    let error = world.try_record().unwrap_err();
    assert_eq!(error.code(), Code::TwoSqlites, "{error}");
    assert!(error.to_string().contains("libsqlite3"), "{error}");
    assert!(error.to_string().contains("opened before the recording: close it"), "{error}");
}

/// In WAL mode a copy that is loaded later takes no lock that the recorded one could see. What it commits at the end of the
/// recording stays committed, though everything seems to be in the database file.
#[test]
fn a_recording_ends_beside_a_second_copy() {
    let Some(other) = Other::load() else { return };
    let world = WalWorld::new();
    let db = world.record();
    db.mark("m").unwrap();
    let theirs = other.open(&world.path());
    other.execute(theirs, "BEGIN IMMEDIATE; INSERT INTO t(x) VALUES('by the other copy')");
    db.close().unwrap();
    drop(db);
    other.execute(theirs, "COMMIT");
    // What a kill leaves.
    let killed = tempfile::tempdir().unwrap();
    for name in ["app.db", "app.db-wal"] {
        std::fs::copy(world.dir.path().join(name), killed.path().join(name)).unwrap();
    }
    let app = Connection::open(killed.path().join("app.db")).unwrap();
    let rows: i64 = app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

/// With a second copy loaded, a connection of the recorded one from before the recording cannot be told from one of the
/// other: the error says so, and what it says helps.
#[test]
fn an_old_connection_beside_a_second_copy_is_told_what_to_do() {
    let Some(_other) = Other::load() else { return };
    let world = World::new("delete", 4096);
    let old = world.connect_by("unix");
    let error = world.try_record().unwrap_err();
    assert_eq!(error.code(), Code::TwoSqlites, "{error}");
    assert!(error.to_string().contains("opened before the recording: close it"), "{error}");
    drop(old);
    let db = world.record();
    db.mark("m").unwrap();
    let c = world.connect();
    world.fill(&c, 0..3);
    db.rewind(&Target::from("m"), None).unwrap();
    assert_eq!(world.count(&c), 0);
}

/// The library as an extension of somebody else's SQLite: the shell lists our VFS, and it works.
#[test]
fn loads_as_an_extension() {
    let target = std::env::current_exe().unwrap();
    let library = target.parent().unwrap().parent().unwrap().join("libdbrewind_sqlite_extension.so");
    if !library.exists() {
        assert!(std::env::var_os("CI").is_none(), "CI builds the workspace first");
        eprintln!("SKIPPED: {} is not built", library.display());
        return;
    }
    let world = World::new("delete", 4096);
    let script = format!(
        ".load {}\n.vfslist\n.open {}\ninsert into t values (1, 'x');\n.vfsname\nselect count(*) from t;",
        library.display(),
        world.path().display()
    );
    let mut shell = Command::new("sqlite3");
    let out = shell.arg(":memory:").arg("-cmd").arg(".bail on").stdin(std::process::Stdio::piped());
    let mut child = out.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("\"dbrewind\"") && text.trim().ends_with('1'), "{text}");
}
