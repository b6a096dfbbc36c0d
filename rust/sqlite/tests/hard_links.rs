//! A database in WAL mode whose file has two names: SQLite has a WAL for each of them.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dbrewind_sqlite::{Code, Database, SqliteApi};
use support::wal::{WalWorld, insert, rows, to};

/// Another process that has the database open, by this name, until it is dropped.
struct Elsewhere(Child);

impl Elsewhere {
    fn at(path: &Path) -> Self {
        let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n\
                       c.execute('SELECT count(*) FROM t').fetchall()\nprint(flush=True)\nsys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", program]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// A database with a second name.
fn linked() -> (WalWorld, PathBuf) {
    let world = WalWorld::new();
    insert(&world.connect(), "one");
    let link = world.dir.path().join("link.db");
    std::fs::hard_link(world.path(), &link).unwrap();
    (world, link)
}

#[test]
fn hazard_two_processes_use_two_names_of_a_file() {
    let (world, link) = linked();
    let elsewhere = Elsewhere::at(&world.path());
    let refused = Database::open(SqliteApi::bundled(), &link, &world.options).unwrap_err();
    assert_eq!(refused.code(), Code::Unsupported, "{refused}");
    let text = refused.to_string();
    let holder = format!("process {} (python3", elsewhere.0.id());
    for part in ["link.db is one of 2 names of its file (hard links)", &holder, "open it by one name"] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    drop(elsewhere);
    std::fs::remove_file(&link).unwrap();
    assert_eq!(rows(&world.connect()), ["one"]);
}

/// As `cp -l` leaves them; whoever else is there uses the same name.
#[test]
fn a_name_that_nobody_uses_is_no_reason_to_refuse() {
    let (world, _link) = linked();
    let _elsewhere = Elsewhere::at(&world.path());
    let database = world.record();
    database.mark("one").unwrap();
    let app = world.connect();
    insert(&app, "two");
    database.rewind(&to("one"), None).unwrap();
    assert_eq!(rows(&app), ["one"]);
    database.close().unwrap();
}
