//! A VFS below the shim that kills the process at a chosen call on the database file.

use std::ffi::{c_char, c_int, c_void};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Synchronous};
use rusqlite::ffi;

use crate::support::World;

/// Calls on the database file until the kill; below zero: none.
static LEFT: AtomicI64 = AtomicI64::new(-1);
static REAL: OnceLock<(usize, usize)> = OnceLock::new();

/// Puts the killer in front of the unix VFS, as the default one.
pub(crate) fn install() {
    // SAFETY: structs of SQLite that live for ever; called once, before any database is open.
    unsafe {
        let unix = ffi::sqlite3_vfs_find(c"unix".as_ptr());
        let mut ours = std::ptr::read(unix);
        ours.zName = c"killer".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.xOpen = Some(open);
        REAL.set((unix as usize, 0)).unwrap();
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1), 0);
    }
}

/// The n-th call from now on does not return.
pub(crate) fn arm(calls: i64) {
    LEFT.store(calls, Ordering::SeqCst);
}

/// Runs one of the `child_*` tests in a process of its own, which is killed at the n-th call. `sync`: the recording's
/// `synchronous`. Whether it was killed; else it has come to its end.
pub(crate) fn killed(child: &str, world: &World, calls: i64, sync: &str) -> bool {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--test-threads", "1"])
        .env("DBREWIND_TEST_DIR", world.dir.path())
        .env("DBREWIND_TEST_MODE", &world.mode)
        .env("DBREWIND_TEST_CALLS", calls.to_string())
        .env("DBREWIND_TEST_SYNC", sync)
        .output()
        .unwrap();
    let killed = out.status.signal() == Some(9);
    assert!(killed || out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    killed
}

/// In a `child_*` test: the recording, a connection, and the calls to [`arm`] with.
pub(crate) struct Victim {
    pub(crate) db: Database,
    pub(crate) c: rusqlite::Connection,
    pub(crate) calls: i64,
}

impl Victim {
    /// Opens what the parent has prepared.
    pub(crate) fn new() -> Self {
        install();
        let told = |name: &str| std::env::var(name).unwrap();
        let path = PathBuf::from(told("DBREWIND_TEST_DIR")).join("a.db");
        let synchronous = match told("DBREWIND_TEST_SYNC").as_str() {
            "off" => Synchronous::Off,
            "full" => Synchronous::Full,
            _ => Synchronous::Normal,
        };
        let options = OpenOptions { journal: None, synchronous, ..OpenOptions::default() };
        let db = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
        let c = rusqlite::Connection::open(&path).unwrap();
        let mode = told("DBREWIND_TEST_MODE");
        let _: String = c.query_row(&format!("pragma journal_mode = {mode}"), [], |row| row.get(0)).unwrap();
        c.execute_batch("pragma synchronous = off").unwrap();
        Self { db, c, calls: told("DBREWIND_TEST_CALLS").parse().unwrap() }
    }
}

fn step() {
    if LEFT.load(Ordering::SeqCst) >= 0 && LEFT.fetch_sub(1, Ordering::SeqCst) == 0 {
        std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status().unwrap();
        loop {
            std::thread::park();
        }
    }
}

static METHODS: OnceLock<usize> = OnceLock::new();
static THEIRS: OnceLock<usize> = OnceLock::new();

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: the arguments go to the unix VFS as they came; its method tables live for ever.
    unsafe {
        let unix = REAL.get().unwrap().0 as *mut ffi::sqlite3_vfs;
        let code = (*unix).xOpen.unwrap()(unix, name, file, flags, out);
        if code == 0 && flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            let theirs = (*file).pMethods;
            THEIRS.get_or_init(|| theirs as usize);
            let ours = METHODS.get_or_init(|| {
                let mut methods = std::ptr::read(theirs);
                methods.xWrite = Some(write);
                methods.xTruncate = Some(truncate);
                methods.xLock = Some(lock);
                methods.xUnlock = Some(unlock);
                Box::leak(Box::new(methods)) as *mut _ as usize
            });
            (*file).pMethods = *ours as *const ffi::sqlite3_io_methods;
        }
        code
    }
}

fn theirs() -> &'static ffi::sqlite3_io_methods {
    // SAFETY: set at the first open; the unix VFS's tables are static.
    unsafe { &*(*THEIRS.get().unwrap() as *const ffi::sqlite3_io_methods) }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    step();
    // SAFETY: as it came.
    unsafe { theirs().xWrite.unwrap()(file, data, len, offset) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    step();
    // SAFETY: as it came.
    unsafe { theirs().xTruncate.unwrap()(file, size) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    step();
    // SAFETY: as it came.
    unsafe { theirs().xLock.unwrap()(file, level) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    step();
    // SAFETY: as it came.
    unsafe { theirs().xUnlock.unwrap()(file, level) }
}
