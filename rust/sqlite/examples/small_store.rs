//! How long a small store in WAL mode keeps up with a program that commits without a pause: `small_store FOLDER [SECONDS]`.
//!
//! For limits of 4 MiB to 1 GiB and three loads: *rows*, one row of 100 bytes a commit; *updates*, one of 256 rows of 4 KiB gets another content;
//! *bulk*, 1 MiB of new rows a commit. The writer is another process of SQLite's own, synchronous=OFF; nobody rewinds, and a mark is set each
//! 100 ms. Tells what was committed a second, and when the recording ended, if it did.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement, not a library")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, WindowState};
use rusqlite::Connection;

const LOADS: [&str; 3] = ["rows", "updates", "bulk"];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = PathBuf::from(arguments.get(1).unwrap());
    if let Some(load) = arguments.get(3).filter(|_| arguments.get(2).is_some_and(|word| word == "write")) {
        write(&folder, load);
    }
    let seconds = arguments.get(2).map_or(5, |text| text.parse().unwrap());
    println!("| limit | load | commits a second | MB of WAL a second | recording |");
    println!("|---|---|---|---|---|");
    for limit in [4, 16, 64, 128, 256, 512, 1024] {
        for load in LOADS {
            measure(&folder, limit, load, Duration::from_secs(seconds));
        }
    }
}

fn measure(folder: &Path, limit: u64, load: &str, long: Duration) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("app.db");
    let app = Connection::open(&path).unwrap();
    app.execute_batch(
        "PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE done(commits INTEGER, pages INTEGER);
         INSERT INTO done VALUES(0, 0);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 256) INSERT INTO t SELECT i, zeroblob(4000) FROM n",
    )
    .unwrap();
    drop(app);
    let options = OpenOptions { limit: Some(limit << 20), ..OpenOptions::default() };
    let db = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
    db.mark("start").unwrap();
    let mut child = start(&path, load);
    let begun = Instant::now();
    let mut ended = None;
    let mut count = 0;
    while begun.elapsed() < long && ended.is_none() {
        std::thread::sleep(Duration::from_millis(100));
        count += 1;
        let _ = db.mark(&format!("mark {count}"));
        if db.status().unwrap().state == WindowState::Stopped {
            ended = Some(begun.elapsed());
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let took = begun.elapsed().as_secs_f64();
    let app = Connection::open(&path).unwrap();
    let (commits, pages): (f64, f64) = app
        .query_row("SELECT max(commits), max(pages) FROM done", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let status = db.status().unwrap();
    let told = match ended {
        Some(after) => format!("ended after {:.1} s: {}", after.as_secs_f64(), db.drain().unwrap_err()),
        None => format!(
            "goes on, back {:.1} s, {} of {count} marks",
            status.window.as_secs_f64(),
            status.marks.hot + status.marks.archived
        ),
    };
    println!(
        "| {limit} MiB | {load} | {:.0} | {:.0} | {told} |",
        commits / took,
        pages * 4096.0 / 1e6 / took
    );
}

fn start(path: &Path, load: &str) -> Child {
    let own = std::env::current_exe().unwrap();
    Command::new(own).arg(path).args(["write", load]).spawn().unwrap()
}

fn write(path: &Path, load: &str) -> ! {
    let app = Connection::open(path).unwrap();
    app.busy_timeout(Duration::from_secs(60)).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    let mut insert = app.prepare("INSERT INTO t(x) VALUES(randomblob(?1))").unwrap();
    let mut update = app.prepare("UPDATE t SET x = randomblob(4000) WHERE id = ?1").unwrap();
    let mut told = app.prepare("UPDATE done SET commits = ?1, pages = ?2").unwrap();
    let mut pages = 0_u64;
    for commits in 1_u64.. {
        match load {
            "rows" => pages += insert.execute([100]).unwrap() as u64,
            "updates" => pages += update.execute([(commits * 7 % 256 + 1).cast_signed()]).unwrap() as u64 + 1,
            _ => {
                app.execute_batch("BEGIN").unwrap();
                for _ in 0..256 {
                    insert.execute([4000]).unwrap();
                }
                app.execute_batch("COMMIT").unwrap();
                pages += 260;
            }
        }
        if commits % 64 == 0 {
            told.execute((commits.cast_signed(), pages.cast_signed())).unwrap();
        }
    }
    unreachable!("killed before")
}
