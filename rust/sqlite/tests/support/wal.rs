//! A database in WAL mode, its recording, and plain programs beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use dbrewind_core::{Store, StoreOptions};
use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;

/// A database in WAL mode with a table `t(id, x)`, in a folder of its own.
pub(crate) struct WalWorld {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) options: OpenOptions,
}

/// How to record where a test needs no syncs.
pub(crate) fn unsynced() -> OpenOptions {
    OpenOptions { synchronous: Synchronous::Off, ..OpenOptions::default() }
}

/// Records a database.
pub(crate) fn record(path: &Path, options: &OpenOptions) -> Database {
    Database::open(SqliteApi::bundled(), path, options).unwrap()
}

impl WalWorld {
    /// One that is recorded as by default.
    pub(crate) fn new() -> Self {
        Self::with(OpenOptions::default())
    }

    /// One that is recorded like this, and whose connections sync as little.
    pub(crate) fn with(options: OpenOptions) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap(), options };
        let app = Connection::open(world.path()).unwrap();
        app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)").unwrap();
        world
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.dir.path().join("app.db-wal")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.dir.path().join("app.db-rewind"), &StoreOptions::default()).unwrap()
    }

    pub(crate) fn connect(&self) -> Connection {
        let app = Connection::open(self.path()).unwrap();
        if self.options.synchronous == Synchronous::Off {
            app.execute_batch("PRAGMA synchronous=OFF").unwrap();
        }
        app
    }

    pub(crate) fn record(&self) -> Database {
        record(&self.path(), &self.options)
    }

    /// What a connection finds after everybody was killed now: the file and its WAL, without an index. Copied by
    /// another process, since closing the file in this one would drop our locks.
    pub(crate) fn after_a_kill(&self) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg(self.path()).arg(self.wal()).arg(dir.path()).status().unwrap();
        assert!(copied.success());
        let connection = Connection::open(dir.path().join("app.db")).unwrap();
        (dir, connection)
    }

    /// Runs statements in another process that knows nothing of any recording; answers what it prints.
    pub(crate) fn plain(&self, statements: &[&str]) -> String {
        let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.2)\n\
                       for s in sys.argv[2:]: print(c.execute(s).fetchall())\nc.close()";
        let run =
            Command::new("python3").args(["-c", program]).arg(self.path()).args(statements).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    }
}

/// Commits a row.
pub(crate) fn insert(app: &Connection, text: &str) {
    app.execute("INSERT INTO t(x) VALUES(?1)", [text]).unwrap();
}

/// All rows, oldest first.
pub(crate) fn rows(app: &Connection) -> Vec<String> {
    let mut statement = app.prepare_cached("SELECT x FROM t ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A mark's name, as a target.
pub(crate) fn to(name: &str) -> Target {
    Target::from(name)
}
