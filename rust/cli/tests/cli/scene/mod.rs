//! A database, an application that has it open, and the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_dbrewind");

pub(crate) struct Scene {
    folder: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().expect("an exit status"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It was done.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    /// Its JSON, which is all that is on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It was refused, with this code and status.
    #[track_caller]
    pub(crate) fn refused(&self, code: &str, status: i32) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        let begins = format!("dbrewind: [{code}] ");
        assert!(self.err.starts_with(&begins), "{self:?}");
        self.err.clone()
    }
}

impl Scene {
    /// A database with a table `t` of three rows.
    pub(crate) fn new(mode: &str) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        let app = scene.connect();
        app.pragma_update(None, "journal_mode", mode).unwrap();
        app.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (3)").unwrap();
        scene
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("app.db-rewind")
    }

    /// An application's connection.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// `dbrewind VERB app.db REST...`, not yet started.
    pub(crate) fn command(&self, verb: &str, rest: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.current_dir(self.folder.path()).env_remove("NO_COLOR").args([verb, "app.db"]).args(rest);
        command
    }

    pub(crate) fn run(&self, verb: &str, rest: &[&str]) -> Ran {
        Ran::of(self.command(verb, rest).output().unwrap())
    }

    /// The same with `--json`, done.
    #[track_caller]
    pub(crate) fn json(&self, verb: &str, rest: &[&str]) -> Value {
        let mut rest = rest.to_vec();
        rest.push("--json");
        self.run(verb, &rest).ok().json()
    }
}

pub(crate) fn rows(app: &Connection) -> i64 {
    app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}
