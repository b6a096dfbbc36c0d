//! What a rewind costs in this process, without Python: after ten small transactions, and after one that
//! changes many pages.
//!
//! `cargo bench -p dbrewind-sqlite -- [wal|delete]`; prints microseconds. `BENCH_FOLDER` says where.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark that cannot go on fails")]

use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Target};
use rusqlite::{Connection, params};

const ROWS: i64 = 100_000;
const ROUNDS: i64 = 200;
const PAGES: i64 = 10_000;

fn report(what: &str, mut micros: Vec<f64>) {
    micros.sort_by(f64::total_cmp);
    let at = |part: f64| micros[((micros.len() - 1) as f64 * part) as usize];
    println!("{what:<44} {:>9.1} p10 {:>9.1} p50 {:>9.1} p90", at(0.1), at(0.5), at(0.9));
}

fn build(path: &Path, journal: &str) {
    let mut app = Connection::open(path).unwrap();
    app.execute_batch(
        "PRAGMA synchronous=OFF; CREATE TABLE item(id INTEGER PRIMARY KEY, grp INT, payload BLOB)",
    )
    .unwrap();
    let transaction = app.transaction().unwrap();
    for id in 1..=ROWS {
        transaction.execute("INSERT INTO item VALUES (?1, ?1 * 7919 % 1000, zeroblob(900))", [id]).unwrap();
    }
    transaction.commit().unwrap();
    let _: String = app.query_row(&format!("PRAGMA journal_mode={journal}"), [], |row| row.get(0)).unwrap();
}

/// Rows all over the table.
fn small(app: &mut Connection, round: i64) {
    for number in 0..10 {
        let transaction = app.transaction().unwrap();
        for row in 0..9 {
            let id = (round * 7_919 + number * 9_973 + row * 10_007) % ROWS + 1;
            let payload = vec![(round + row) as u8; 900];
            transaction.execute("UPDATE item SET payload = ?1 WHERE id = ?2", params![payload, id]).unwrap();
        }
        transaction.commit().unwrap();
    }
}

/// One row on each of many pages.
fn pages(app: &mut Connection, round: i64) {
    let transaction = app.transaction().unwrap();
    {
        let mut update = transaction.prepare_cached("UPDATE item SET payload = ?1 WHERE id = ?2").unwrap();
        for page in 0..PAGES {
            update.execute(params![vec![round as u8; 900], 1 + page * (ROWS / PAGES)]).unwrap();
        }
    }
    transaction.commit().unwrap();
}

fn rounds(
    db: &Database,
    app: &mut Connection,
    count: i64,
    pause: Duration,
    work: fn(&mut Connection, i64),
) -> Vec<f64> {
    let base = Target::Name("base".to_owned());
    let one = |round| {
        work(app, round);
        std::thread::sleep(pause);
        let start = Instant::now();
        db.rewind(&base, None).unwrap();
        start.elapsed().as_secs_f64() * 1e6
    };
    (1..=count).map(one).collect()
}

fn main() {
    let folder = std::env::var_os("BENCH_FOLDER").unwrap_or_else(|| ".".into());
    let only = std::env::args().nth(1).filter(|journal| !journal.starts_with('-'));
    for journal in ["wal", "delete"] {
        if only.as_deref().is_some_and(|only| only != journal) {
            continue;
        }
        let dir = tempfile::tempdir_in(&folder).unwrap();
        let path = dir.path().join("app.db");
        build(&path, journal);
        let db = Database::open(SqliteApi::bundled(), &path, &OpenOptions::default()).unwrap();
        let mut app = Connection::open(&path).unwrap();
        app.execute_batch("PRAGMA synchronous=OFF").unwrap();
        db.mark("base").unwrap();
        rounds(&db, &mut app, 20, Duration::ZERO, small);
        let (at_once, settled) = (Duration::ZERO, Duration::from_millis(10));
        report(&format!("{journal}, 10 transactions"), rounds(&db, &mut app, ROUNDS, at_once, small));
        report(
            &format!("{journal}, 10 transactions, settled"),
            rounds(&db, &mut app, ROUNDS, settled, small),
        );
        report(&format!("{journal}, {PAGES} pages"), rounds(&db, &mut app, 20, at_once, pages));
        report(&format!("{journal}, {PAGES} pages, settled"), rounds(&db, &mut app, 20, settled, pages));
        db.close().unwrap();
    }
}
