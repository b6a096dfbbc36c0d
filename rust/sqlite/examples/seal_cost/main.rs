//! What sealing makes of recorded pages: `seal_cost FOLDER [--record STEM] [--quick] [HISTORY...]`.
//!
//! Makes histories of a database, each the same in every run: *N rounds*, of 100 random rows of 160,000 that get another number and name;
//! *short table*, the same of 16,000 rows; a *shop* and a *wiki*. Records the frames of their WALs as the adapter does, seals them, and
//! reads: bytes a transaction, the ratio to raw pages, how fast; one version of each page, in page order, from the segments as they were and sealed;
//! and where the bytes are. Only what follows the database's making is measured.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that cannot go on fails")]

mod measure;
#[path = "../support/random.rs"]
mod random;
#[path = "../../../core/examples/support/recorded.rs"]
mod recorded;
#[path = "../support/rounds.rs"]
mod rounds;
mod shop;
mod text;
mod wiki;

use std::path::{Path, PathBuf};

use measure::{Measured, measure};
use random::Random;
use recorded::{Recorded, take_option};
use rusqlite::Connection;

/// What is required of 100-row rounds, in KiB a transaction, and of what updates leave, as a ratio.
const KIB_A_ROUND: f64 = 15.0;
const RATIO: f64 = 10.0;

#[derive(Clone, Copy)]
enum Load {
    /// Rows of the table.
    Rounds(u64),
    /// Customers.
    Shop(u64),
    /// Pages of text.
    Wiki(u64),
}

struct History {
    name: &'static str,
    load: Load,
    transactions: u64,
}

const fn history(name: &'static str, load: Load, transactions: u64) -> History {
    History { name, load, transactions }
}

const ALL: [History; 7] = [
    history("100 rounds", Load::Rounds(160_000), 100),
    history("270 rounds", Load::Rounds(160_000), 270),
    history("400 rounds", Load::Rounds(160_000), 400),
    history("1,000 rounds", Load::Rounds(160_000), 1000),
    history("short table", Load::Rounds(16_000), 1400),
    history("shop", Load::Shop(4000), 9000),
    history("wiki", Load::Wiki(900), 4500),
];

/// That everything runs, and proves nothing.
const QUICK: [History; 3] = [
    history("20 rounds", Load::Rounds(4000), 20),
    history("shop", Load::Shop(100), 100),
    history("wiki", Load::Wiki(40), 40),
];

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let stem = take_option(&mut arguments, "--record");
    let quick = arguments.iter().any(|found| found == "--quick");
    arguments.retain(|found| found != "--quick");
    let folder = PathBuf::from(arguments.remove(0));
    let histories: Vec<&History> = if quick { QUICK.iter().collect() } else { ALL.iter().collect() };
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let mut out = Recorded::new("Sealing: what recorded pages take", stem);
    out.line("| | transactions | pages, distinct | MB of pages | MB sealed | times smaller | KiB a transaction | sealed, MB/s | us to read a page: mapped; sealed, indexes not read yet; sealed |");
    out.line("|---|---|---|---|---|---|---|---|---|");
    let mut measured = Vec::new();
    for history in histories {
        if !arguments.is_empty() && !arguments.iter().any(|name| name == history.name) {
            continue;
        }
        let (app, wal) = make(history, &folder.join("made.db"));
        let found = measure(&wal, &folder.join("store"));
        drop(app);
        row(&mut out, history, &found);
        measured.push((history, found));
    }
    parts(&mut out, &measured);
    required(&mut out, &measured);
    out.keep().unwrap();
}

/// The history, as a WAL that lasts as long as the connection.
fn make(history: &History, path: &Path) -> (Connection, PathBuf) {
    let wal = path.with_extension("db-wal");
    for old in [path, &wal] {
        let _ = std::fs::remove_file(old);
    }
    let app = Connection::open(path).unwrap();
    app.execute_batch("PRAGMA page_size = 4096; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")
        .unwrap();
    let follow = || {
        app.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0").unwrap();
    };
    match history.load {
        Load::Rounds(rows) => {
            let mut random = Random(11);
            rounds::table(&app, rows, &mut random);
            follow();
            (0..history.transactions).for_each(|_| rounds::round(&app, rows, 100, &mut random));
        }
        Load::Shop(customers) => {
            let mut shop = shop::Shop::new(&app, customers);
            follow();
            (0..history.transactions).for_each(|_| shop.step());
        }
        Load::Wiki(pages) => {
            let mut wiki = wiki::Wiki::new(&app, pages);
            follow();
            (0..history.transactions).for_each(|_| wiki.step());
        }
    }
    (app, wal)
}

fn row(out: &mut Recorded, history: &History, found: &Measured) {
    let [mapped, first, later] = found.reading;
    out.line(&format!(
        "| {} | {} | {}, {} | {:.1} | {:.2} | {:.1} | {:.2} | {:.0} | {mapped:.1}; {first:.1}; {later:.1} |",
        history.name,
        found.commits,
        found.pages,
        found.distinct,
        found.raw as f64 / 1e6,
        found.sealed as f64 / 1e6,
        found.ratio(),
        found.each(found.sealed),
        found.megabytes_a_second(),
    ));
    out.sample(&format!("{}: bytes of pages", history.name), found.raw as f64);
    out.sample(&format!("{}: bytes sealed", history.name), found.sealed as f64);
    out.sample(&format!("{}: seconds to seal", history.name), found.seconds);
}

/// Where the bytes are.
fn parts(out: &mut Recorded, measured: &[(&History, Measured)]) {
    out.line("\nKiB a transaction, by parts; and what the newest image of each page alone would take, in frames like those, and as one frame of level 19:\n");
    out.line("| | bodies | indexes | digests, the rest | newest images | the same at level 19 |\n|---|---|---|---|---|---|");
    for (history, found) in measured {
        let [bodies, index, digest, rest] = found.parts;
        out.line(&format!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            history.name,
            found.each(bodies),
            found.each(index),
            found.each(digest + rest),
            found.each(found.newest),
            found.each(found.newest_at_best),
        ));
    }
}

/// Which of the required figures are met.
fn required(out: &mut Recorded, measured: &[(&History, Measured)]) {
    out.line("\n| required | met | missed |\n|---|---|---|");
    let mut line = |what: &str, of: &dyn Fn(&History) -> bool, met: &dyn Fn(&Measured) -> bool| {
        let names = |wanted: bool| {
            let all = measured.iter().filter(|(history, found)| of(history) && met(found) == wanted);
            let names: Vec<&str> = all.map(|(history, _)| history.name).collect();
            names.join("; ")
        };
        out.line(&format!("| {what} | {} | {} |", names(true), names(false)));
    };
    line(
        &format!("at most {KIB_A_ROUND} KiB a round of 100 rows"),
        &|history| matches!(history.load, Load::Rounds(_)),
        &|found| found.each(found.sealed) <= KIB_A_ROUND,
    );
    line(&format!("at least {RATIO} times smaller than raw pages"), &|_| true, &|found| {
        found.ratio() >= RATIO
    });
}
