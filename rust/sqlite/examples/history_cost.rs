//! What a long history costs, on this machine: `history_cost FOLDER [IMAGES [wal|delete [PAGE-SIZE [ROWS [A-ROUND]]]]]`.
//!
//! Records rounds of A-ROUND random rows of ROWS until the store has so many page images, and seals them. Then: how long the
//! database takes to open; and how long a rewind to a random moment takes beside one to a mark that was just set, when
//! both write as many pages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement, not a library")]

use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_core::{Cursor, Kind, Lsn, Store, StoreOptions};
use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Target};
use rusqlite::Connection;

/// More than any of these stores takes: nothing is evicted.
const LIMIT: u64 = 1 << 40;
/// Moments whose content is known, and rewinds to them.
const SAMPLES: usize = 24;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A name: words that come again and again, and a number that does not.
    fn name(&mut self) -> String {
        const WORDS: [&str; 8] = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath"];
        let mut word = || WORDS[self.below(8) as usize];
        format!("{} {} {}", word(), word(), self.below(1_000_000))
    }
}

struct Load {
    images: u64,
    delete: bool,
    page: u64,
    rows: u64,
    a_round: u64,
}

fn open(path: &Path) -> Database {
    let options = OpenOptions { limit: Some(LIMIT), ..OpenOptions::default() };
    Database::open(SqliteApi::bundled(), path, &options).unwrap()
}

fn connect(path: &Path, load: &Load) -> Connection {
    let app = Connection::open(path).unwrap();
    let mode = if load.delete { "DELETE" } else { "WAL" };
    app.execute_batch(&format!(
        "PRAGMA page_size = {}; PRAGMA journal_mode = {mode}; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000",
        load.page
    ))
    .unwrap();
    app
}

fn round(app: &Connection, load: &Load, random: &mut Random) {
    app.execute_batch("BEGIN").unwrap();
    for _ in 0..load.a_round {
        let id = random.below(load.rows);
        let mut update = app.prepare_cached("UPDATE t SET number = ?2, name = ?3 WHERE id = ?1").unwrap();
        update.execute((id.cast_signed(), random.below(1 << 40).cast_signed(), random.name())).unwrap();
    }
    app.execute_batch("COMMIT").unwrap();
}

/// Moments and their digests.
fn record(path: &Path, load: &Load) -> Vec<(Lsn, [u8; 16])> {
    let mut random = Random(11);
    let app = connect(path, load);
    app.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, number INTEGER, name TEXT, note TEXT); BEGIN")
        .unwrap();
    for id in 0..load.rows {
        let row = (id.cast_signed(), random.below(1 << 40).cast_signed(), random.name(), random.name());
        app.execute("INSERT INTO t VALUES(?1, ?2, ?3, ?4)", row).unwrap();
    }
    app.execute_batch("COMMIT").unwrap();
    let database = open(path);
    let mut samples = Vec::new();
    let began = Instant::now();
    let first = database.now().unwrap().get();
    let (mut rounds, mut images) = (0, 0);
    let mut marked = 0;
    while images < load.images {
        round(&app, load, &mut random);
        rounds += 1;
        // In a rollback mode each page is captured once a mark.
        if load.delete {
            database.mark(&format!("m{rounds}")).unwrap();
            images += load.a_round;
        } else {
            images = database.now().unwrap().get() - first;
        }
        if images * SAMPLES as u64 / load.images > marked {
            marked += 1;
            database.drain().unwrap();
            samples.push((database.now().unwrap(), database.digest().unwrap()));
        }
    }
    database.close().unwrap();
    println!("{rounds} rounds, about {images} images, in {:.0} s", began.elapsed().as_secs_f64());
    samples
}

fn unsealed(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".seg")).count()
}

fn seal(folder: &Path) {
    let options = StoreOptions { limit: LIMIT, ..StoreOptions::default() };
    let store = Store::open(folder, &options).unwrap();
    let began = Instant::now();
    let mut before = 0;
    // Somebody may still be at it.
    while unsealed(folder) > 1 {
        match store.seal_some().unwrap() {
            Some(done) => before += done.before,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    println!("{before} bytes were left to seal: {:.1} s", began.elapsed().as_secs_f64());
    let (mut segments, mut bytes, mut images, mut records) = (0, 0, 0_u64, 0_u64);
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().ends_with(".zst") {
            segments += 1;
            bytes += file.metadata().unwrap().len();
        }
    }
    let mut raw = 0_u64;
    store
        .scan(&mut Cursor::default(), &mut |head, _, len| {
            records += 1;
            raw += u64::from(len);
            images += u64::from(matches!(head.kind, Kind::After | Kind::Before | Kind::Base));
        })
        .unwrap();
    println!(
        "{images} images among {records} records, {raw} bytes of them; {segments} sealed segments of {bytes} bytes"
    );
}

fn quantiles(what: &str, mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let at = |of: f64| all[((all.len() - 1) as f64 * of) as usize];
    println!("{what:<44} {:>9.2} best {:>9.2} median {:>9.2} worst", at(0.0), at(0.5), at(1.0));
    at(0.5)
}

fn measure_open(path: &Path) {
    let millis = |_| {
        let start = Instant::now();
        let database = open(path);
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        drop(database);
        elapsed
    };
    quantiles("open the database, ms", (0..15).map(millis).collect());
    let folder = path.with_file_name("a.db-rewind");
    let options = StoreOptions { limit: LIMIT, ..StoreOptions::default() };
    let millis = |_| {
        let start = Instant::now();
        let store = Store::open(&folder, &options).unwrap();
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        drop(store);
        elapsed
    };
    quantiles("open the store alone, ms", (0..15).map(millis).collect());
}

/// Milliseconds, and pages written.
fn rewind(database: &Database, to: &Target) -> (f64, u64) {
    let start = Instant::now();
    let done = database.rewind(to, None).unwrap();
    (start.elapsed().as_secs_f64() * 1e3, done.pages)
}

fn measure_rewinds(path: &Path, load: &Load, samples: &[(Lsn, [u8; 16])]) {
    let mut random = Random(5);
    let database = open(path);
    let app = connect(path, load);
    // Someone who reads keeps a rewind in WAL mode from moving the end: all of these write pages.
    let reader = connect(path, load);
    let (mut far, mut near, mut pages) = (Vec::new(), Vec::new(), [0, 0]);
    for pass in 0..SAMPLES {
        reader.execute_batch(if load.delete { "SELECT 1" } else { "BEGIN; SELECT count(*) FROM t" }).ok();
        database.drain().unwrap();
        let name = format!("near {pass}");
        database.mark(&name).unwrap();
        app.execute_batch("UPDATE t SET number = number + 1").unwrap();
        database.drain().unwrap();
        let (millis, wrote) = rewind(&database, &Target::from(name.as_str()));
        pages[0] += wrote;
        near.push(millis * 1e3 / wrote.max(1) as f64);
        let (lsn, digest) = samples[random.below(samples.len() as u64) as usize];
        let (millis, wrote) = rewind(&database, &Target::Lsn(lsn));
        if pass == 0 {
            println!("the first rewind to a random moment: {millis:.1} ms, {wrote} pages");
        } else if wrote > 0 {
            pages[1] += wrote;
            far.push(millis * 1e3 / wrote as f64);
        }
        if !load.delete {
            reader.execute_batch("COMMIT").unwrap();
        }
        assert_eq!(database.digest().unwrap(), digest, "{lsn}");
    }
    println!("pages a rewind: {} and {}", pages[0] / SAMPLES as u64, pages[1] / far.len() as u64);
    let near = quantiles("rewind to a recent mark, us a page", near);
    let far = quantiles("rewind to a random moment, us a page", far);
    println!("ratio {:.2}", far / near);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| arguments.get(at).map_or(or, |text| text.parse().unwrap());
    let folder = Path::new(&arguments[0]);
    let load = Load {
        images: number(1, 100_000),
        delete: arguments.get(2).is_some_and(|mode| mode == "delete"),
        page: number(3, 4096),
        rows: number(4, 160_000),
        a_round: number(5, 100),
    };
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("a.db");
    let samples = record(&path, &load);
    seal(&path.with_file_name("a.db-rewind"));
    measure_open(&path);
    measure_rewinds(&path, &load, &samples);
}
