use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dbrewind_core::fuzzing::given_up;
use dbrewind_core::{Location, Store};

use super::ledger::Ledger;
use super::record::{body, head, options as store_options};
use super::writer::{Life, PACE, told};
use crate::seed::Rng;

const WRITERS: u32 = 4;
/// Kills of one store; then the next one, so that none gets large.
const EACH: u64 = 25;
/// A wait this long means that something waits for the dead. No measure of speed.
const HELD_UP: Duration = Duration::from_secs(5);

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many kills.
    pub kills: u64,
    /// Choices.
    pub seed: u64,
    /// The program that serves as writer.
    pub binary: PathBuf,
    /// Tell each store.
    pub verbose: bool,
}

/// What came of it. Times in microseconds.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// Writers killed, each while three others appended.
    pub kills: u64,
    /// Records found, each read and compared.
    pub records: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Reservations of the killed that were given up: kills in the midst of an append.
    pub given_up: u64,
    /// How long the first append after a kill took.
    pub after_kill: Waits,
    /// The same for an append just before the kill, while all writers lived: what the machine's load alone costs.
    pub before_kill: Waits,
    /// How long a reader needed to read and compare everything that was appended since the kill before.
    pub reader: Waits,
}

/// How long calls took, in microseconds.
#[derive(Debug, Default, Clone)]
pub struct Waits {
    /// Median, 99 of 100, longest.
    pub all: [f64; 3],
    /// The same without calls that went on to another segment, and those during which the system took the
    /// processor away.
    pub undisturbed: [f64; 3],
    /// How many were undisturbed, and how many of those took more than a millisecond.
    pub over_a_millisecond: (usize, usize),
}

/// Kills and examines.
///
/// # Panics
/// At the first thing that is not as it must be; prints how to run it again.
#[must_use]
pub fn run(options: &Options) -> Summary {
    let mut summary = Summary::default();
    let mut times = Times::default();
    let mut seed = options.seed;
    while summary.kills < options.kills {
        let kills = EACH.min(options.kills - summary.kills);
        if let Err(text) = one_store(options, seed, kills, &mut summary, &mut times) {
            panic!("seed {seed:#x}: {text}\nagain: --appends {kills} --seed {seed:#x}");
        }
        if options.verbose {
            eprintln!("{} kills, {} records, {} given up", summary.kills, summary.records, summary.given_up);
        }
        seed += 1;
    }
    summary.after_kill = times.after.waits();
    summary.before_kill = times.before.waits();
    summary.reader = times.reader.waits();
    summary
}

#[derive(Default)]
struct Times {
    after: Series,
    before: Series,
    reader: Series,
}

#[derive(Default)]
struct Series {
    all: Vec<f64>,
    undisturbed: Vec<f64>,
}

impl Series {
    fn add(&mut self, took: Duration, undisturbed: bool) -> Result<(), String> {
        if took > HELD_UP {
            return Err(format!("a call after a kill took {took:?}"));
        }
        self.all.push(took.as_secs_f64() * 1e6);
        if undisturbed {
            self.undisturbed.push(took.as_secs_f64() * 1e6);
        }
        Ok(())
    }

    fn waits(&mut self) -> Waits {
        let long = self.undisturbed.iter().filter(|took| **took > 1000.0).count();
        Waits {
            all: quantiles(&mut self.all),
            undisturbed: quantiles(&mut self.undisturbed),
            over_a_millisecond: (self.undisturbed.len(), long),
        }
    }
}

/// The children, killed whatever happens.
struct Crew<'a> {
    options: &'a Options,
    folder: &'a Path,
    seed: u64,
    children: Vec<Child>,
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

impl Crew<'_> {
    fn spawn(&self, writer: u32, seed: u64) -> Child {
        let life = Life { folder: self.folder.to_owned(), writer, seed, store_seed: self.seed };
        let mut command = Command::new(&self.options.binary);
        command.arg("append").arg(serde_json::to_string(&life).expect("JSON")).stdin(Stdio::null());
        command.spawn().expect("a writer")
    }

    /// All of them append.
    fn at_work(&mut self, before: &[u64]) -> Result<(), String> {
        let started = Instant::now();
        while (0..WRITERS).zip(before).any(|(writer, before)| told(self.folder, writer) <= *before) {
            for (writer, child) in self.children.iter_mut().enumerate() {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(format!("writer {writer} ended by itself: {status}"));
                }
            }
            if started.elapsed() > Duration::from_secs(60) {
                return Err("a writer does not get to work".to_owned());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }
}

fn one_store(
    options: &Options,
    seed: u64,
    kills: u64,
    summary: &mut Summary,
    times: &mut Times,
) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("store");
    let store = Store::open(&folder, &store_options(seed)).map_err(|error| error.to_string())?;
    let mut ledger = Ledger::default();
    let mut crew = Crew { options, folder: &folder, seed, children: Vec::new() };
    crew.children = (0..WRITERS).map(|writer| crew.spawn(writer, rng.bits())).collect();
    let mut before = vec![0; WRITERS as usize];
    let mut own = Own::default();
    let mut done = 0;
    while done < kills {
        // Now and then a writer is killed while it still opens the store.
        if !rng.chance(15) {
            crew.at_work(&before)?;
        }
        store.set_register(PACE, 0, 1);
        std::thread::sleep(Duration::from_micros(rng.below(2500)));
        let count = (1 + rng.below(3) / 2).min(kills - done);
        let first = rng.index(WRITERS as usize);
        let victims: Vec<usize> = (0..count as usize).map(|i| (first + i) % WRITERS as usize).collect();
        own.append(&store)?;
        own.timed_append(&store, &mut times.before)?;
        for victim in &victims {
            crew.children[*victim].kill().map_err(|error| error.to_string())?;
        }
        own.timed_append(&store, &mut times.after)?;
        store.set_register(PACE, 0, 0);
        let start = Instant::now();
        ledger.read(&store)?;
        times.reader.add(start.elapsed(), true)?;
        for victim in victims {
            let writer = u32::try_from(victim).expect("few");
            crew.children[victim].wait().map_err(|error| error.to_string())?;
            ledger.read(&store)?;
            ledger.compare(&folder, writer)?;
            crew.children[victim] = crew.spawn(writer, rng.bits());
            before[victim] = told(&folder, writer);
            done += 1;
        }
    }
    drop(crew);
    ledger.read(&store)?;
    for writer in 0..WRITERS {
        ledger.compare(&folder, writer)?;
    }
    drop(store);
    let fresh =
        Store::open(&folder, &store_options(seed)).map_err(|error| format!("opening it again: {error}"))?;
    let mut again = Ledger::default();
    again.read(&fresh)?;
    ledger.same(&again)?;
    summary.kills += done;
    summary.records += ledger.records;
    summary.bytes += ledger.bytes;
    summary.given_up += given_up(&folder).map_err(|error| error.to_string())?;
    Ok(())
}

/// The campaign's own records.
#[derive(Default)]
struct Own {
    number: u64,
    newest: Option<Location>,
}

impl Own {
    /// Appends one; answers how long that took, and whether it stayed in the segment of the one before.
    fn append(&mut self, store: &Store) -> Result<(Duration, bool), String> {
        self.number += 1;
        let body = body(WRITERS, self.number);
        let start = Instant::now();
        let at = store.append(head(WRITERS, self.number), &[&body]);
        let took = start.elapsed();
        let at = at.map_err(|error| format!("the next append: {error}"))?;
        let before = self.newest.replace(at);
        Ok((took, before.is_some_and(|before| before.segment() == at.segment())))
    }

    fn timed_append(&mut self, store: &Store, series: &mut Series) -> Result<(), String> {
        let switches = involuntary_switches();
        let (took, stayed) = self.append(store)?;
        series.add(took, stayed && involuntary_switches() == switches)
    }
}

/// How often the system took the processor away from this thread, although it could have gone on.
fn involuntary_switches() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("nonvoluntary")).unwrap_or_default().to_owned()
}

/// Median, 99 of 100, largest.
fn quantiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (values.len() as f64 * share) as usize;
        values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
    };
    [at(0.5), at(0.99), at(1.0)]
}
