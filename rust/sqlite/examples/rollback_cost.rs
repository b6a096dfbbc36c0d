//! What recording in the rollback modes costs, on this machine:
//! `cargo run --release -p dbrewind-sqlite --example rollback_cost [commits|rewinds]`.
//!
//! Medians; plain and recorded rounds alternate, so that other load meets both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement, not a library")]

use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Database, Moments, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;

const ROWS: i64 = 100_000;

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[all.len() / 2].as_secs_f64() * 1e6
}

fn connect(path: &Path, vfs: &str, mode: &str) -> Connection {
    let c = Connection::open_with_flags_and_vfs(path, rusqlite::OpenFlags::default(), vfs).unwrap();
    let _: String = c.query_row(&format!("pragma journal_mode = {mode}"), [], |row| row.get(0)).unwrap();
    c.execute_batch("pragma synchronous = off").unwrap();
    c
}

fn fixture(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("a.db");
    let c = Connection::open_with_flags_and_vfs(&path, rusqlite::OpenFlags::default(), "unix").unwrap();
    c.execute_batch("create table t(id integer primary key, n integer, v text)").unwrap();
    let fill = "insert into t with recursive s(i) as (select 1 union all select i + 1 from s where i < ?1) \
                select i, 0, printf('%0140d', i) from s";
    c.execute(fill, [ROWS]).unwrap();
    path
}

/// One-row updates in transactions of their own; microseconds each.
fn updates(c: &Connection, round: i64, first: i64) -> Duration {
    let mut update = c.prepare_cached("update t set n = n + 1 where id = ?1").unwrap();
    let started = Instant::now();
    for step in 0..500 {
        let id = (first + (round * 500 + step) * 7919) % ROWS + 1;
        update.execute([id]).unwrap();
    }
    started.elapsed() / 500
}

fn commits(mode: &str, moments: Moments) {
    let plain_dir = tempfile::tempdir().unwrap();
    let shim_dir = tempfile::tempdir().unwrap();
    let (plain, recorded) = (fixture(plain_dir.path()), fixture(shim_dir.path()));
    let options =
        OpenOptions { synchronous: Synchronous::Off, moments: Some(moments), ..OpenOptions::default() };
    let db = Database::open(SqliteApi::bundled(), &recorded, &options).unwrap();
    let (p, r) = (connect(&plain, "unix", mode), connect(&recorded, "dbrewind", mode));
    db.mark("start").unwrap();
    let (mut first, mut again, mut base) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..41 {
        // First every page is new to the mark, later ever fewer are.
        base.push(updates(&p, round, 0));
        let took = updates(&r, round, 0);
        if round < 3 { &mut first } else { &mut again }.push(took);
    }
    let (base, first, again) = (median(base), median(first), median(again));
    println!(
        "{mode:>9} commit, {moments:?}: plain {base:6.2} us, recorded {again:6.2} us ({:.3}x); pages new to the mark {first:6.2} us ({:.3}x)",
        again / base,
        first / base
    );
}

fn rewinds(pages: i64) {
    let dir = tempfile::tempdir().unwrap();
    let path = fixture(dir.path());
    let options = OpenOptions { journal: None, synchronous: Synchronous::Off, ..OpenOptions::default() };
    let db = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
    let c = connect(&path, "dbrewind", "delete");
    db.mark("start").unwrap();
    let (mut took, mut marks, mut written) = (Vec::new(), Vec::new(), 0);
    for round in 0..41 {
        c.execute("update t set n = n + 1 where id % ?1 = 0 and id <= ?2", [25, pages * 25]).unwrap();
        let started = Instant::now();
        written = db.rewind(&Target::from("start"), None).unwrap().pages;
        took.push(started.elapsed());
        let started = Instant::now();
        db.mark(&format!("m{round}")).unwrap();
        marks.push(started.elapsed());
    }
    println!("   rewind of {written:5} pages: {:8.1} us; mark {:5.1} us", median(took), median(marks));
}

fn main() {
    let only = std::env::args().nth(1);
    if only.as_deref() != Some("rewinds") {
        for mode in ["delete", "truncate", "persist", "memory", "off"] {
            commits(mode, Moments::Marks);
            commits(mode, Moments::Commits);
        }
    }
    if only.as_deref() != Some("commits") {
        for pages in [1, 10, 100, 1000] {
            rewinds(pages);
        }
    }
}
