//! `dbrewind bench`: what a reset costs, by a rewind and by two other ways, on a copy of the user's database.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dbrewind_sqlite::{Code, Database, OpenOptions, RewindOptions, SqliteApi, Target};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, backup};
use serde::Serialize;

use crate::arguments::BenchArgs;
use crate::failure::Failure;
use crate::header::Header;
use crate::progress::Progress;
use crate::report::Report;
use crate::show::{self, Cell};

/// Of the changes that are reset; in the copy alone.
const TABLE: &str = "dbrewind_bench";

#[derive(Serialize)]
struct Measured {
    path: String,
    /// Of the copy.
    bytes: u64,
    rounds: u32,
    /// That each round inserts before it is reset.
    rows: u32,
    ways: Vec<Way>,
}

#[derive(Serialize)]
struct Way {
    way: &'static str,
    /// Of one reset, in seconds.
    median: f64,
    least: f64,
}

pub(crate) fn run(args: &BenchArgs) -> Result<Report, Failure> {
    Header::read(&args.path)?;
    let folder = Folder::new(args.r#in.as_deref())?;
    let progress = Progress::begin(&format!("measuring resets of a copy of {}", args.path.display()));
    let seed = folder.0.join("seed.db");
    copy_of(&args.path, &seed, &progress)?;
    let bytes = std::fs::metadata(&seed).map_err(cannot_write)?.len();
    let mut ways = Vec::new();
    for (done, (way, measure)) in (1_u32..).zip(WAYS) {
        let work = folder.0.join(format!("{way}.db"));
        std::fs::copy(&seed, &work).map_err(cannot_write)?;
        let mut taken = measure(&Bench { args, seed: &seed, work: &work })?;
        taken.sort_unstable();
        let middle = taken.get(taken.len() / 2).copied().unwrap_or_default();
        let least = taken.first().copied().unwrap_or_default();
        ways.push(Way { way, median: middle.as_secs_f64(), least: least.as_secs_f64() });
        progress.at(100 + done * 300);
        remove(&work);
    }
    drop(progress);
    let name = show::plain(&args.path.display().to_string());
    let path = std::path::absolute(&args.path).unwrap_or_else(|_| args.path.clone()).display().to_string();
    let measured = Measured { path, bytes, rounds: args.rounds, rows: args.rows, ways };
    let head = format!(
        "a copy of {name}, {}; {} rounds of {} rows inserted and taken back:",
        show::bytes(bytes),
        args.rounds,
        args.rows
    );
    let row = |way: &Way| {
        vec![
            Cell::styled(way.way, show::STRONG),
            Cell::new(show::took(way.median)),
            Cell::new(show::took(way.least)),
        ]
    };
    let rows: Vec<_> = measured.ways.iter().map(row).collect();
    let text = format!("{head}\n{}", show::table(&["RESET BY", "MEDIAN", "LEAST"], &rows));
    Report::new(&measured, text)
}

/// A folder of our own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(parent: Option<&Path>) -> Result<Self, Failure> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = parent.join(format!("dbrewind-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| {
            let text = format!("cannot make the folder {}: {error}", folder.display());
            Failure::own(Code::Io, text).with_fix("name one that can be written: --in FOLDER")
        })?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Bench<'a> {
    args: &'a BenchArgs,
    seed: &'a Path,
    work: &'a Path,
}

type Measure = fn(&Bench<'_>) -> Result<Vec<Duration>, Failure>;

const WAYS: [(&str, Measure); 3] = [("rewind", by_rewind), ("copy", by_copy), ("truncate", by_truncate)];

impl Bench<'_> {
    /// Change, reset, and a look whether it was one; what the resets took. `reset` gets the application's connection, and gives
    /// one back.
    fn rounds(
        &self,
        mut reset: impl FnMut(Connection) -> Result<Connection, Failure>,
    ) -> Result<Vec<Duration>, Failure> {
        let mut app = connect(self.work)?;
        let mut taken = Vec::new();
        for _ in 0..self.args.rounds {
            let insert = format!(
                "INSERT INTO {TABLE} WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {}) \
                 SELECT n, randomblob(100) FROM c",
                self.args.rows
            );
            app.execute_batch(&insert).map_err(sql)?;
            let begun = Instant::now();
            app = reset(app)?;
            let count = format!("SELECT count(*) FROM {TABLE}");
            // What makes a reset complete is that the application sees it.
            let left: i64 = app.query_row(&count, [], |row| row.get(0)).map_err(sql)?;
            taken.push(begun.elapsed());
            if left != 0 {
                return Err(Failure::own(Code::Internal, format!("{left} rows are left after a reset")));
            }
        }
        Ok(taken)
    }
}

fn by_rewind(bench: &Bench<'_>) -> Result<Vec<Duration>, Failure> {
    let database = Database::open(SqliteApi::bundled(), bench.work, &OpenOptions::default())?;
    let base = "base";
    database.mark(base)?;
    let to = Target::Name(base.to_owned());
    let taken = bench.rounds(|app| {
        database.rewind(&to, RewindOptions::default())?;
        Ok(app)
    });
    database.close()?;
    taken
}

/// The connection is closed, the file replaced, and opened again.
fn by_copy(bench: &Bench<'_>) -> Result<Vec<Duration>, Failure> {
    bench.rounds(|app| {
        drop(app);
        remove(bench.work);
        std::fs::copy(bench.seed, bench.work).map_err(cannot_write)?;
        connect(bench.work)
    })
}

/// All tables are emptied, and filled again from the seed, in one transaction.
fn by_truncate(bench: &Bench<'_>) -> Result<Vec<Duration>, Failure> {
    let seed = bench.seed.to_string_lossy().replace('\'', "''");
    bench.rounds(|app| {
        app.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(sql)?;
        app.execute_batch(&format!("PRAGMA foreign_keys = OFF; ATTACH '{seed}' AS seed; BEGIN IMMEDIATE"))
            .map_err(sql)?;
        for table in tables(&app)? {
            let table = table.replace('"', "\"\"");
            let refill = format!(
                "DELETE FROM main.\"{table}\"; INSERT INTO main.\"{table}\" SELECT * FROM seed.\"{table}\""
            );
            app.execute_batch(&refill).map_err(sql)?;
        }
        app.execute_batch("COMMIT; DETACH seed").map_err(sql)?;
        Ok(app)
    })
}

/// Ordinary tables. Virtual ones, and what belongs to them, are left alone.
fn tables(app: &Connection) -> Result<Vec<String>, Failure> {
    let list = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut statement = app.prepare(list).map_err(sql)?;
    let names = statement.query_map([], |row| row.get(0)).map_err(sql)?;
    names.collect::<Result<_, _>>().map_err(sql)
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    let app = Connection::open(path).map_err(sql)?;
    app.busy_timeout(Duration::from_secs(5)).map_err(sql)?;
    Ok(app)
}

/// Copies the database by SQLite's backup, in its journal mode, and gives it the table of the changes. The original is read only.
fn copy_of(original: &Path, seed: &Path, progress: &Progress) -> Result<(), Failure> {
    let from = Connection::open_with_flags(original, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sql)?;
    from.busy_timeout(Duration::from_secs(5)).map_err(sql)?;
    let mut to = Connection::open(seed).map_err(sql)?;
    let steps = backup::Backup::new(&from, &mut to).map_err(sql)?;
    loop {
        let more = steps.step(4096).map_err(sql)?;
        let backup::Progress { remaining, pagecount } = steps.progress();
        let done = i64::from(pagecount - remaining) * 100 / i64::from(pagecount.max(1));
        progress.at(u32::try_from(done).unwrap_or(0));
        match more {
            backup::StepResult::Done => break,
            backup::StepResult::More => {}
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    drop(steps);
    to.execute_batch(&format!("CREATE TABLE IF NOT EXISTS {TABLE}(n INTEGER, x BLOB); DELETE FROM {TABLE}"))
        .map_err(sql)?;
    // Closed: what is in its WAL goes into the file.
    to.close().map_err(|(_, error)| sql(error))
}

/// A database of ours, with what belongs to it.
fn remove(path: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let _ = std::fs::remove_file(name);
    }
    let _ = std::fs::remove_dir_all(dbrewind_sqlite::store_beside(path));
}

fn cannot_write(error: std::io::Error) -> Failure {
    Failure::own(Code::Io, format!("cannot copy the database: {error}"))
        .with_fix("name a folder with room: --in FOLDER")
}

fn sql(error: rusqlite::Error) -> Failure {
    Failure::own(Code::Io, format!("SQLite cannot do that to the copy: {error}"))
}
