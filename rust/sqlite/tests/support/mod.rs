//! What the tests of this folder share: a database in its own folder, and a plain program to look at it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests; no test file uses all of them"
)]

pub(crate) mod child;
pub(crate) mod full;
#[path = "../../../core/tests/support/restart.rs"]
mod restart;
pub(crate) mod wal;

use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use dbrewind_sqlite::{Database, Error, OpenOptions, SqliteApi, Synchronous};
#[allow(unused_imports, reason = "not every test file restarts the machine")]
pub(crate) use restart::restart;
use rusqlite::Connection;

/// The five rollback journal modes.
pub(crate) const MODES: [&str; 5] = ["delete", "truncate", "persist", "memory", "off"];

/// A database with a table `t(id, v)`, in a folder of its own.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) mode: String,
}

impl World {
    /// A new database with one row less than one, written without the shim.
    pub(crate) fn new(mode: &str, page_size: u32) -> Self {
        Self::with(mode, &format!("pragma page_size = {page_size};"))
    }

    /// The same, after these statements.
    pub(crate) fn with(mode: &str, before: &str) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap(), mode: mode.to_owned() };
        let c = Connection::open_with_flags_and_vfs(world.path(), flags(), "unix").unwrap();
        c.execute_batch(before).unwrap();
        c.execute_batch("create table t(id integer primary key, v text)").unwrap();
        world
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("a.db")
    }

    /// The store's folder.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("a.db-rewind")
    }

    /// 200 rows more by a connection through the shim, and the mark "m" of them, with its digest.
    pub(crate) fn marked(&self) -> (Database, Connection, [u8; 16]) {
        let db = self.record();
        let c = self.connect();
        self.fill(&c, 0..200);
        db.mark("m").unwrap();
        let digest = db.digest().unwrap();
        (db, c, digest)
    }

    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions {
            journal: None,
            synchronous: Synchronous::Off,
            timeout: Duration::from_secs(10),
            ..OpenOptions::default()
        }
    }

    pub(crate) fn record(&self) -> Database {
        self.try_record().unwrap()
    }

    pub(crate) fn try_record(&self) -> Result<Database, Error> {
        Database::open(SqliteApi::bundled(), &self.path(), &self.options())
    }

    /// A connection through the shim, in the world's journal mode.
    pub(crate) fn connect(&self) -> Connection {
        self.connect_by("dbrewind")
    }

    /// A connection through this VFS.
    pub(crate) fn connect_by(&self, vfs: &str) -> Connection {
        let c = Connection::open_with_flags_and_vfs(self.path(), flags(), vfs).unwrap();
        c.busy_timeout(Duration::from_secs(10)).unwrap();
        let mode: String =
            c.query_row(&format!("pragma journal_mode = {}", self.mode), [], |row| row.get(0)).unwrap();
        assert_eq!(mode, self.mode);
        c.execute_batch("pragma synchronous = off").unwrap();
        c
    }

    /// One transaction with a row for each number.
    pub(crate) fn fill(&self, c: &Connection, ids: std::ops::Range<i64>) {
        c.execute_batch("begin").unwrap();
        for id in ids {
            let v = format!("{id:0>300}");
            c.execute("insert into t values (?1, ?2)", rusqlite::params![id, v]).unwrap();
        }
        c.execute_batch("commit").unwrap();
    }

    pub(crate) fn count(&self, c: &Connection) -> i64 {
        c.query_row("select count(*) from t", [], |row| row.get(0)).unwrap()
    }

    pub(crate) fn check(&self, c: &Connection) {
        let answer: String = c.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(answer, "ok");
    }

    /// Runs SQL in a program that knows nothing of us, and returns what it prints.
    pub(crate) fn plain(&self, sql: &str) -> String {
        let out = Command::new("sqlite3").arg("-bail").arg(self.path()).arg(sql).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// A plain program that keeps its connection.
    pub(crate) fn shell(&self) -> Shell {
        let mut child = Command::new("sqlite3")
            .arg(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Shell { child, input, output: std::io::BufReader::new(output) }
    }
}

fn flags() -> rusqlite::OpenFlags {
    // With a mutex, as Python opens them.
    rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE
        | rusqlite::OpenFlags::SQLITE_OPEN_CREATE
        | rusqlite::OpenFlags::SQLITE_OPEN_URI
        | rusqlite::OpenFlags::SQLITE_OPEN_FULL_MUTEX
}

/// An `sqlite3` shell that runs until it is dropped, or killed.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    output: std::io::BufReader<ChildStdout>,
}

impl Shell {
    /// Runs statements and returns what they print.
    pub(crate) fn run(&mut self, sql: &str) -> String {
        use std::io::{BufRead, Write};
        writeln!(self.input, "{sql}\nselect '--done--';").unwrap();
        self.input.flush().unwrap();
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the shell has ended");
            if line.trim() == "--done--" {
                return all.trim().to_owned();
            }
            all.push_str(&line);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
