//! What a long history costs, on this machine:
//! `history_cost FOLDER [--record STEM] [IMAGES [wal|delete [PAGE-SIZE [ROWS [A-ROUND]]]]]`.
//!
//! Records rounds of A-ROUND random rows of ROWS until the store has so many page images, and seals them. Then: how long the
//! database takes to open; and how long a rewind to a random moment takes beside one to a mark that was just set, when
//! both write as many pages. Of each the first one of a handle is told by itself: it may read what was passed over at the opening.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement, not a library")]

#[path = "support/random.rs"]
mod random;
#[path = "../../core/examples/support/recorded.rs"]
mod recorded;
#[path = "support/rounds.rs"]
mod rounds;

use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_core::{Cursor, Kind, Lsn, Store, StoreOptions};
use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Target};
use random::Random;
use recorded::{Recorded, take_option};
use rusqlite::Connection;

/// More than any of these stores takes: nothing is evicted, and nearly all is of one era, which is the most that a rewind may have to read.
const LIMIT: u64 = 1 << 40;
/// Moments whose content is known, and rewinds of each kind in one handle.
const SAMPLES: usize = 24;
/// Handles in which a rewind of a kind is the first one.
const COLD: usize = 3;

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

/// Moments and their digests.
fn record(path: &Path, load: &Load, out: &mut Recorded) -> Vec<(Lsn, [u8; 16])> {
    let mut random = Random(11);
    let app = connect(path, load);
    rounds::table(&app, load.rows, &mut random);
    let database = open(path);
    let mut samples = Vec::new();
    let began = Instant::now();
    let first = database.now().unwrap().get();
    let (mut count, mut images) = (0, 0);
    let mut marked = 0;
    while images < load.images {
        rounds::round(&app, load.rows, load.a_round, &mut random);
        count += 1;
        // In a rollback mode each page is captured once a mark.
        if load.delete {
            database.mark(&format!("m{count}")).unwrap();
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
    out.line(&format!(
        "{count} rounds of {} rows of {}, about {images} images, journal_mode={}, in {:.0} s\n",
        load.a_round,
        load.rows,
        if load.delete { "delete" } else { "wal" },
        began.elapsed().as_secs_f64()
    ));
    samples
}

fn unsealed(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".seg")).count()
}

fn seal(folder: &Path, out: &mut Recorded) {
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
    let seconds = began.elapsed().as_secs_f64();
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
    out.line(&format!(
        "{images} images among {records} records, {raw} bytes of them; {segments} sealed segments of {bytes} bytes; {before} \
         bytes of segments were left to seal at the end: {seconds:.1} s\n"
    ));
}

/// Prints a row of the table, and answers with the median.
fn row(out: &mut Recorded, what: &str, mut all: Vec<f64>) -> f64 {
    for value in &all {
        out.sample(what, *value);
    }
    all.sort_by(f64::total_cmp);
    let at = |of: f64| all[((all.len() - 1) as f64 * of) as usize];
    out.line(&format!("| {what} | {} | {:.2} | {:.2} | {:.2} |", all.len(), at(0.0), at(0.5), at(1.0)));
    at(0.5)
}

fn measure_open(path: &Path, out: &mut Recorded) {
    out.line("| | samples | best | median | worst |\n|---|---|---|---|---|");
    let millis = |_| {
        let start = Instant::now();
        let database = open(path);
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        drop(database);
        elapsed
    };
    row(out, "open the database, ms", (0..15).map(millis).collect());
    let folder = path.with_file_name("a.db-rewind");
    let options = StoreOptions { limit: LIMIT, ..StoreOptions::default() };
    let millis = |_| {
        let start = Instant::now();
        let store = Store::open(&folder, &options).unwrap();
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        drop(store);
        elapsed
    };
    row(out, "open the store alone, ms", (0..15).map(millis).collect());
}

/// A handle, the application beside it, and someone who reads: that keeps a rewind in WAL mode from moving the end, which would
/// write no page.
struct Rewinding<'a> {
    database: Database,
    app: Connection,
    reader: Connection,
    load: &'a Load,
    samples: &'a [(Lsn, [u8; 16])],
}

/// What a rewind took, and wrote.
struct Took {
    millis: f64,
    pages: u64,
}

impl Took {
    fn micros_a_page(&self) -> f64 {
        self.millis * 1e3 / self.pages.max(1) as f64
    }
}

impl<'a> Rewinding<'a> {
    fn open(path: &Path, load: &'a Load, samples: &'a [(Lsn, [u8; 16])]) -> Self {
        let database = open(path);
        Self { database, app: connect(path, load), reader: connect(path, load), load, samples }
    }

    /// Every row is changed before, so that all of these write as many pages.
    fn rewind(&self, to: &Target) -> Took {
        self.app.execute_batch("UPDATE t SET number = number + 1").unwrap();
        let read = if self.load.delete { "SELECT 1" } else { "BEGIN; SELECT count(*) FROM t" };
        self.reader.execute_batch(read).ok();
        self.database.drain().unwrap();
        let start = Instant::now();
        let done = self.database.rewind(to, None).unwrap();
        let took = Took { millis: start.elapsed().as_secs_f64() * 1e3, pages: done.pages };
        if !self.load.delete {
            self.reader.execute_batch("COMMIT").unwrap();
        }
        took
    }

    /// To a mark that was just set.
    fn near(&self, name: &str) -> Took {
        self.database.mark(name).unwrap();
        self.rewind(&Target::from(name))
    }

    /// To a random moment; the state must be the one that was there.
    fn far(&self, random: &mut Random) -> Took {
        let (lsn, digest) = self.samples[random.below(self.samples.len() as u64) as usize];
        let took = self.rewind(&Target::Lsn(lsn));
        assert_eq!(self.database.digest().unwrap(), digest, "{lsn}");
        took
    }
}

fn measure_rewinds(path: &Path, load: &Load, samples: &[(Lsn, [u8; 16])], out: &mut Recorded) {
    let mut random = Random(5);
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for pass in 0..COLD {
        near.push(Rewinding::open(path, load, samples).near(&format!("first {pass}")));
        far.push(Rewinding::open(path, load, samples).far(&mut random));
    }
    report(out, "first of a handle", (near, far));
    let handle = Rewinding::open(path, load, samples);
    // Whatever the first one of each kind reads, none of the others pays for it.
    handle.near("first of all");
    handle.far(&mut random);
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for pass in 0..SAMPLES {
        near.push(handle.near(&format!("near {pass}")));
        far.push(handle.far(&mut random));
    }
    report(out, "later ones", (near, far));
}

/// Rows for rewinds to a recent mark and to a random moment, and their ratio by the page.
fn report(out: &mut Recorded, which: &str, (near, far): (Vec<Took>, Vec<Took>)) {
    let mut medians = Vec::new();
    let mut pages = Vec::new();
    for (to, all) in [("a recent mark", near), ("a random moment", far)] {
        let millis = all.iter().map(|took| took.millis).collect();
        row(out, &format!("rewind to {to}, {which}, ms"), millis);
        let a_page = all.iter().map(Took::micros_a_page).collect();
        medians.push(row(out, &format!("rewind to {to}, {which}, us a page"), a_page));
        pages.push(all.iter().map(|took| took.pages).sum::<u64>() / all.len().max(1) as u64);
    }
    out.line(&format!(
        "| **random : recent, {which}, by the page** ({} and {} pages a rewind) | | | **{:.2}** | |",
        pages[1],
        pages[0],
        medians[1] / medians[0]
    ));
    out.sample(&format!("random : recent, {which}"), medians[1] / medians[0]);
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let stem = take_option(&mut arguments, "--record");
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
    let mut out = Recorded::new("A long history: opening it, and rewinds to a random moment", stem);
    let samples = record(&path, &load, &mut out);
    seal(&path.with_file_name("a.db-rewind"), &mut out);
    measure_open(&path, &mut out);
    measure_rewinds(&path, &load, &samples, &mut out);
    out.keep().unwrap();
}
