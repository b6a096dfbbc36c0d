//! What recording in WAL mode costs, on this machine:
//! `cargo run --release -p dbrewind-sqlite --example wal_cost [commits|rewinds|written]`.
//!
//! Medians; plain and recorded rounds alternate, so that other load meets both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement, not a library")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Database, Method, OpenOptions, SqliteApi, Target};
use rusqlite::Connection;

const ROWS: i64 = 100_000;

fn quantile(mut all: Vec<Duration>, of: f64) -> f64 {
    all.sort();
    let at = (all.len() as f64 * of) as usize;
    all[at.min(all.len() - 1)].as_secs_f64() * 1e6
}

fn connect(path: &Path) -> Connection {
    let app = Connection::open(path).unwrap();
    app.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
    app
}

fn fixture(dir: &Path) -> PathBuf {
    let path = dir.join("a.db");
    let app = connect(&path);
    app.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, v TEXT)")
        .unwrap();
    app.execute_batch("BEGIN").unwrap();
    for id in 0..ROWS {
        app.execute("INSERT INTO t VALUES(?1, 0, ?2)", (id, "x".repeat(100))).unwrap();
    }
    app.execute_batch("COMMIT").unwrap();
    path
}

fn open(path: &Path) -> Database {
    Database::open(SqliteApi::bundled(), path, &OpenOptions::default()).unwrap()
}

/// One-row transactions at scattered places; answers their times.
fn commits(app: &Connection, count: i64, seed: &mut i64) -> Vec<Duration> {
    let mut statement = app.prepare_cached("UPDATE t SET n = n + 1 WHERE id = ?1").unwrap();
    let one = |_| {
        *seed = (*seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
        let started = Instant::now();
        statement.execute([*seed % ROWS]).unwrap();
        started.elapsed()
    };
    (0..count).map(one).collect()
}

fn measure_commits(path: &Path) {
    let mut seed = 1;
    let (mut plain, mut recorded) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        let app = connect(path);
        commits(&app, 100, &mut seed);
        plain.extend(commits(&app, 2_000, &mut seed));
        let database = open(path);
        database.mark(&format!("m{seed}")).unwrap();
        commits(&app, 100, &mut seed);
        recorded.extend(commits(&app, 2_000, &mut seed));
        database.close().unwrap();
    }
    let (p, r) = (quantile(plain.clone(), 0.5), quantile(recorded.clone(), 0.5));
    println!("one-row commit, WAL, NORMAL: plain {p:.1} us, recorded {r:.1} us, ratio {:.3}", r / p);
    let mean = |all: &[Duration]| all.iter().sum::<Duration>().as_secs_f64() * 1e6 / all.len() as f64;
    let (p, r) = (mean(&plain), mean(&recorded));
    println!("   means: plain {p:.1} us, recorded {r:.1} us, ratio {:.3}", r / p);
}

fn measure_rewinds(path: &Path, caught_up: bool) {
    let app = connect(path);
    let database = open(path);
    database.mark(if caught_up { "calm" } else { "hasty" }).unwrap();
    let target = Target::from(if caught_up { "calm" } else { "hasty" });
    let (mut rewinds, mut marks, mut dirty) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..1_000_i64 {
        for transaction in 0..10 {
            app.execute_batch("BEGIN").unwrap();
            for row in 0..10 {
                let id = (round * 7919 + transaction * 101 + row * 13) % ROWS;
                app.prepare_cached("UPDATE t SET n = n + 1 WHERE id = ?1").unwrap().execute([id]).unwrap();
            }
            app.execute_batch("COMMIT").unwrap();
        }
        if caught_up {
            database.drain().unwrap();
        }
        let started = Instant::now();
        database.mark(&format!("{round}{caught_up}")).unwrap();
        marks.push(started.elapsed());
        let started = Instant::now();
        assert!(database.dirty_since(&target).unwrap());
        dirty.push(started.elapsed());
        let started = Instant::now();
        let rewound = database.rewind(&target, None).unwrap();
        rewinds.push(started.elapsed());
        assert_eq!(rewound.method, Method::Moved);
    }
    let line = |what: &str, all: Vec<Duration>| {
        let (half, most) = (quantile(all.clone(), 0.5), quantile(all, 0.95));
        println!("{what}: median {half:.1} us, 95 % {most:.1} us");
    };
    println!("10 transactions of 10 rows each, tail {}:", if caught_up { "up to date" } else { "behind" });
    line("   rewind", rewinds);
    line("   mark", marks);
    line("   dirty_since", dirty);
}

fn measure_written(path: &Path) {
    let app = connect(path);
    let reader = connect(path);
    let database = open(path);
    database.mark("w").unwrap();
    let mut all = Vec::new();
    let mut pages = 0;
    for round in 0..100 {
        app.execute("UPDATE t SET n = n + 1 WHERE id % 1000 = ?1", [round]).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let _: i64 = reader.query_row("SELECT count(*) FROM t WHERE id < 10", [], |row| row.get(0)).unwrap();
        database.drain().unwrap();
        let started = Instant::now();
        let rewound = database.rewind(&Target::from("w"), None).unwrap();
        all.push(started.elapsed());
        pages = rewound.pages;
        assert_eq!(rewound.method, Method::Written);
        reader.execute_batch("COMMIT").unwrap();
    }
    println!("written rewind of {pages} pages past a reader: median {:.0} us", quantile(all, 0.5));
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let path = fixture(dir.path());
    let what = std::env::args().nth(1).unwrap_or_default();
    if matches!(what.as_str(), "" | "commits") {
        measure_commits(&path);
    }
    if matches!(what.as_str(), "" | "rewinds") {
        measure_rewinds(&path, true);
        measure_rewinds(&path, false);
    }
    if matches!(what.as_str(), "" | "written") {
        measure_written(&path);
    }
}
