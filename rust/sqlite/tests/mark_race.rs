//! One name, several processes that set it at once: one of them gets it, and all agree who.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dbrewind_sqlite::{Code, Database, OpenOptions, SqliteApi, Synchronous};
use rusqlite::Connection;

const NAMES: usize = 300;

fn record(path: &Path) -> Database {
    let options = OpenOptions {
        synchronous: Synchronous::Off,
        journal: None,
        timeout: Duration::from_secs(30),
        ..OpenOptions::default()
    };
    Database::open(SqliteApi::bundled(), path, &options).unwrap()
}

fn database(mode: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let app = Connection::open(dir.path().join("a.db")).unwrap();
    app.execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x)")).unwrap();
    dir
}

/// The LSNs of the marks that this handle got.
fn set_all(database: &Database) -> BTreeMap<String, u64> {
    let mut ours = BTreeMap::new();
    for number in 0..NAMES {
        let name = format!("m{number}");
        match database.mark(&name) {
            Ok(mark) => drop(ours.insert(name, mark.lsn.get())),
            Err(error) => assert_eq!(error.code(), Code::MarkExists, "{error}"),
        }
    }
    ours
}

fn check(all: &[BTreeMap<String, u64>], database: &Database) {
    let mut got = BTreeMap::new();
    for ours in all {
        for (name, lsn) in ours {
            assert!(got.insert(name.clone(), *lsn).is_none(), "{name} was given twice");
        }
    }
    let listed = database.marks().unwrap();
    assert_eq!(listed.len(), NAMES);
    for mark in listed {
        assert_eq!(got.get(&mark.name), Some(&mark.lsn.get()), "{}", mark.name);
    }
}

#[test]
#[ignore = "run by processes_that_set_one_name_at_once"]
fn child_sets_marks() {
    let database = record(Path::new(&std::env::var("DBREWIND_TEST_DATABASE").unwrap()));
    let start: u128 = std::env::var("DBREWIND_TEST_START").unwrap().parse().unwrap();
    while SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() < start {
        std::hint::spin_loop();
    }
    for (name, lsn) in set_all(&database) {
        println!("\ngot {name} {lsn}");
    }
    database.close().unwrap();
}

#[test]
fn processes_that_set_one_name_at_once() {
    for mode in ["wal", "delete"] {
        let dir = database(mode);
        let path = dir.path().join("a.db");
        let database = record(&path);
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() + 300;
        let child = |_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_sets_marks", "--ignored", "--nocapture"])
                .env("DBREWIND_TEST_DATABASE", &path)
                .env("DBREWIND_TEST_START", start.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let children: Vec<_> = (0..3).map(child).collect();
        let mut all = Vec::new();
        for child in children {
            let out = child.wait_with_output().unwrap();
            assert!(out.status.success());
            let text = String::from_utf8(out.stdout).unwrap();
            let got = text.lines().filter_map(|line| line.strip_prefix("got ")?.split_once(' '));
            all.push(got.map(|(name, lsn)| (name.to_owned(), lsn.parse().unwrap())).collect());
        }
        check(&all, &database);
    }
}

#[test]
fn handles_that_set_one_name_at_once() {
    for mode in ["wal", "delete"] {
        let dir = database(mode);
        let path = dir.path().join("a.db");
        let handles = [record(&path), record(&path)];
        let barrier = Barrier::new(handles.len());
        let all: Vec<_> = std::thread::scope(|scope| {
            let run = |database| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    set_all(database)
                })
            };
            let threads: Vec<_> = handles.iter().map(run).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for handle in &handles {
            check(&all, handle);
        }
    }
}
