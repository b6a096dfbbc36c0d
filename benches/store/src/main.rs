//! What an append costs: dbrewind's store, other logs, and a bare copy into a mapping of the same kind.
//!
//! `dbrewind-bench-store [--quick] [--rounds N] [--only LOG] [--record STEM]`; run by `make bench-store`.

mod clock;
mod logs;
mod worker;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use logs::{ROWS, Row};
use worker::{Load, child, processes, threads};

const SIZES: [(&str, usize, u64); 2] = [("100 B", 100, 409_600), ("4 KiB", 4096, 20_480)];
const WRITERS: [u32; 3] = [1, 2, 4];
/// What all writers together append between two pauses, in bytes of bodies: five hundred pages of 4 KiB.
const BURST: u64 = 2 << 20;

type Cell = (usize, &'static str, u32, &'static str);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "worker") {
        return child(&arguments[1..]);
    }
    let after =
        |name: &str| arguments.iter().position(|found| found == name).and_then(|at| arguments.get(at + 1));
    let quick = arguments.iter().any(|found| found == "--quick");
    let rounds = after("--rounds").map_or(if quick { 1 } else { 7 }, |text| text.parse().expect("a number"));
    let only = after("--only");
    let scratch = std::env::var_os("BENCH_FOLDER").unwrap_or_else(|| ".".into());
    let mut times: BTreeMap<Cell, Vec<f64>> = BTreeMap::new();
    // Rivals side by side in every round, so that what disturbs one disturbs all.
    for _ in 0..rounds {
        for (_, size, records) in SIZES {
            for (how, writers) in
                WRITERS.map(|n| ("threads", n)).into_iter().chain(WRITERS.map(|n| ("processes", n)))
            {
                for row in &ROWS {
                    if only.is_some_and(|only| only != row.log) || (how == "processes" && !row.shared) {
                        continue;
                    }
                    let records = if quick { records / 40 } else { records } / u64::from(writers);
                    let burst = if row.bursts { BURST / size as u64 / u64::from(writers) } else { records };
                    let folder = tempfile::tempdir_in(&scratch).expect("a folder");
                    let load = Load { size, writers, records, burst };
                    clock::quiet(2 * load.room());
                    let measure = if how == "threads" { threads } else { processes };
                    if let Some(nanos) = measure(row.log, folder.path(), load) {
                        times.entry((size, how, writers, row.label)).or_default().push(nanos);
                    }
                }
            }
        }
    }
    let page = table(&times) + &required(&times);
    print!("{page}");
    if let Some(stem) = after("--record") {
        let json: Vec<_> = times
            .iter()
            .map(|((size, how, writers, name), nanos)| {
                serde_json::json!({"bytes": size, "by": how, "writers": writers, "log": name, "ns": nanos})
            })
            .collect();
        std::fs::write(format!("{stem}.json"), format!("{:#}\n", serde_json::Value::from(json)))
            .expect("a record");
        std::fs::write(format!("{stem}.md"), facts() + &page).expect("a record");
    }
}

fn median(nanos: &[f64]) -> f64 {
    let mut sorted = nanos.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn table(times: &BTreeMap<Cell, Vec<f64>>) -> String {
    let mut page = String::new();
    for (label, size, _) in SIZES {
        let _infallible = writeln!(
            page,
            "\n## {label}: nanoseconds from one append to the next, all writers together (median of {}; best)\n\n\
             | log | 1 thread | 2 threads | 4 threads | 1 process | 2 processes | 4 processes | 2 processes do |\n|---|---|---|---|---|---|---|---|",
            times.values().map(Vec::len).max().unwrap_or(0)
        );
        for Row { label: name, .. } in &ROWS {
            let mut row = format!("| {name} |");
            for (how, writers) in
                WRITERS.map(|n| ("threads", n)).into_iter().chain(WRITERS.map(|n| ("processes", n)))
            {
                let cell = times.get(&(size, how, writers, *name));
                let text = cell.map_or_else(
                    || "-".to_owned(),
                    |nanos| {
                        format!("{:.0}; {:.0}", median(nanos), nanos.iter().copied().fold(f64::MAX, f64::min))
                    },
                );
                let _infallible = write!(row, " {text} |");
            }
            let usual = |writers| times.get(&(size, "processes", writers, *name)).map(|nanos| median(nanos));
            let scaling = usual(1)
                .zip(usual(2))
                .map_or_else(|| "-".to_owned(), |(one, two)| format!("{:.2}x", one / two));
            let _infallible = write!(row, " {scaling} |");
            page += &row;
            page.push('\n');
        }
    }
    page
}

/// Which of the required figures are met, by medians.
fn required(times: &BTreeMap<Cell, Vec<f64>>) -> String {
    let mut page =
        "\n## What is required, and found by the medians\n\n| required | found | |\n|---|---|---|\n"
            .to_owned();
    let mut line = |what: &str, by: String, value: Option<f64>, met: &dyn Fn(f64) -> bool| {
        if let Some(value) = value {
            let word = if met(value) { "met" } else { "**missed**" };
            let _infallible = writeln!(page, "| {what} | {by}: {value:.2} | {word} |");
        }
    };
    let usual = |size, how, writers, name| times.get(&(size, how, writers, name)).map(|nanos| median(nanos));
    let ours = || ROWS.iter().map(|row| row.label).filter(|name| name.starts_with("dbrewind"));
    for name in ours() {
        for how in ["threads", "processes"] {
            let value = usual(100, how, 1, name);
            line("100 B in at most 60 ns", format!("{name}, one of {how}"), value, &|found| found <= 60.0);
        }
    }
    for name in ours() {
        for how in ["threads", "processes"] {
            for copy in ["copy", "copy, pages present"] {
                let value =
                    usual(4096, how, 1, name).zip(usual(4096, how, 1, copy)).map(|(ours, bare)| ours / bare);
                let by = format!("{name} : {copy}, one of {how}");
                line("4 KiB in at most 1.3 times a bare copy of the same run", by, value, &|found| {
                    found <= 1.3
                });
            }
        }
    }
    for (label, size, _) in SIZES {
        // The copies, too: no log does better than those on this machine.
        for name in ours().chain(["copy", "copy, pages present", "copy, pages present, in one order"]) {
            let one = usual(size, "processes", 1, name);
            let value = one.zip(usual(size, "processes", 2, name)).map(|(one, two)| one / two);
            let by = format!("{name}, {label}");
            line("two processes do at least 1.5 times what one does", by, value, &|found| found >= 1.5);
        }
    }
    page
}

/// What it was measured on.
fn facts() -> String {
    let first = |path: &str, key: &str| {
        let text = std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "# Appending to a log: dbrewind's store and others\n\n{}, {} processors, kernel {}, load {}\n\n\
         An append here survives the death of its process, and need not survive a power cut: nobody syncs. LMDB makes one \
         transaction of each append. *copy* writes the same bytes into a mapping of the same kind, each writer in a part of its own; \
         *in one order*: one behind the other, as a log has them, with one addition to a shared word for the place, and no way to tell \
         what a killed writer left. *In bursts*: 2 MiB, then up to 20 ms without an append, in which pages are made present; the bursts of all \
         writers begin at one instant, and the pauses are not counted. *2 processes do*: how many times the appends of one process, by the medians.\n",
        first("/proc/cpuinfo", "model name"),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        kernel.trim(),
        load.trim(),
    )
}
