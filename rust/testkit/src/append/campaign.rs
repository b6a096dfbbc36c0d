use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dbrewind_core::fuzzing::{given_up, given_up_between};
use dbrewind_core::{Cursor, Location, Store};

use super::ledger::Ledger;
use super::processors::Processors;
use super::record::{body, head, options as store_options};
use super::taken::{HELD_UP, Series, Taken, taken};
use super::writer::{Life, PACE, asleep_by, told};
use crate::seed::Rng;

const WRITERS: u32 = 4;
/// Kills of one store; then the next one, so that none gets large.
const EACH: u64 = 25;
/// In so many of a hundred rounds all writers are killed at once: then nobody but the dead can hold the next append up.
const ALL: u64 = 25;

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many kills.
    pub kills: u64,
    /// Choices.
    pub seed: u64,
    /// The program that serves as writer.
    pub binary: PathBuf,
    /// The campaign's own thread gets a processor that no writer uses, for times that count.
    pub apart: bool,
    /// Tell each store.
    pub verbose: bool,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// Writers killed, each while all others appended.
    pub kills: u64,
    /// At how many moments: one, two or all of them at once.
    pub rounds: u64,
    /// Stores.
    pub stores: u64,
    /// Records that writers had told of as appended, up to the end of each store.
    pub told: u64,
    /// Records found, each read and compared with what was written; and once more when the store was opened anew.
    pub records: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Reservations of the killed that were given up: kills in the midst of an append.
    pub given_up: u64,
    /// Whether the campaign's own thread had a processor that no writer used.
    pub apart: bool,
    /// How long calls took.
    pub times: Times,
}

/// Calls of the campaign's own thread.
#[derive(Debug, Default, Clone)]
pub struct Times {
    /// An append before the kill, with all writers at work: what the others and the machine cost by themselves.
    pub before: Series,
    /// The same, if the log went on to another segment.
    pub before_moving: Series,
    /// The next append after one or two of them were killed, the others at work.
    pub some: Series,
    /// The same, if the log went on to another segment.
    pub some_moving: Series,
    /// The next append after all of them were killed.
    pub all: Series,
    /// The same, if the log went on to another segment.
    pub all_moving: Series,
    /// Of the appends after a kill those before which a reservation of the killed stood, that nobody had given up yet.
    pub behind: Series,
    /// After all were killed and the next append was made, until that one could be read: whoever reads gives up what the dead left.
    pub read: Series,
}

/// Kills and examines.
///
/// # Panics
/// At the first thing that is not as it must be; prints how to run it again.
#[must_use]
pub fn run(options: &Options) -> Summary {
    let processors = options.apart.then(Processors::part).flatten();
    let mut summary = Summary { apart: processors.is_some(), ..Summary::default() };
    let mut seed = options.seed;
    while summary.kills < options.kills {
        let kills = EACH.min(options.kills - summary.kills);
        let crew = Plan { options, processors: processors.as_ref() };
        if let Err(text) = one_store(crew, seed, kills, &mut summary) {
            panic!("seed {seed:#x}: {text}\nagain: --appends {kills} --seed {seed:#x}");
        }
        if options.verbose {
            eprintln!("{} kills, {} records, {} given up", summary.kills, summary.records, summary.given_up);
        }
        seed += 1;
    }
    summary
}

/// What a campaign does, and where.
#[derive(Clone, Copy)]
struct Plan<'a> {
    options: &'a Options,
    processors: Option<&'a Processors>,
}

/// The children, killed whatever happens.
struct Crew<'a> {
    plan: Plan<'a>,
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
        self.begin(writer, seed, false)
    }

    fn begin(&self, writer: u32, seed: u64, sleeps_reserved: bool) -> Child {
        let folder = self.folder.to_owned();
        let life = Life { folder, writer, seed, store_seed: self.seed, sleeps_reserved };
        let binary = &self.plan.options.binary;
        let mut command = match self.plan.processors {
            Some(processors) => processors.command(binary),
            None => Command::new(binary),
        };
        command.arg("append").arg(serde_json::to_string(&life).expect("JSON")).stdin(Stdio::null());
        command.spawn().expect("a writer")
    }

    /// Has a writer killed that is certainly between reserving room and committing, while the others append.
    fn kill_reserved(&mut self, writer: u32) -> Result<(), String> {
        let before = &mut self.children[writer as usize];
        let killed = before.kill().and_then(|()| before.wait());
        killed.map_err(|error| error.to_string())?;
        self.children[writer as usize] = self.begin(writer, 0, true);
        let asleep = asleep_by(self.folder, writer);
        let started = Instant::now();
        while !asleep.exists() {
            if started.elapsed() > Duration::from_secs(60) {
                return Err(format!("writer {writer} reserves nothing"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let victim = &mut self.children[writer as usize];
        let killed = victim.kill().and_then(|()| victim.wait());
        killed.map(drop).map_err(|error| error.to_string())
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

fn one_store(plan: Plan<'_>, seed: u64, kills: u64, summary: &mut Summary) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("store");
    let store = Store::open(&folder, &store_options(seed)).map_err(|error| error.to_string())?;
    let mut ledger = Ledger::default();
    let mut crew = Crew { plan, folder: &folder, seed, children: Vec::new() };
    crew.children = (0..WRITERS).map(|writer| crew.spawn(writer, rng.bits())).collect();
    let mut before = vec![0; WRITERS as usize];
    let mut own = Own::new(&store)?;
    let mut done = 0;
    while done < kills {
        // Now and then a writer is killed while it still opens the store.
        if !rng.chance(15) {
            crew.at_work(&before)?;
        }
        store.set_register(PACE, 0, 1);
        std::thread::sleep(Duration::from_micros(rng.below(2500)));
        let all = rng.chance(ALL) && kills - done >= u64::from(WRITERS);
        let count = if all { u64::from(WRITERS) } else { (1 + rng.below(3) / 2).min(kills - done) };
        let one = rng.index(WRITERS as usize);
        let victims: Vec<usize> = (0..count as usize).map(|i| (one + i) % WRITERS as usize).collect();
        own.append(&store)?;
        let first = own.newest;
        let took = own.append(&store)?;
        let last = own.newest;
        summary.times.before(took, first, last)?;
        for victim in &victims {
            crew.children[*victim].kill().map_err(|error| error.to_string())?;
        }
        let took = own.append(&store)?;
        if all {
            summary.times.read.add(until_read(&store, last, own.newest)?)?;
        }
        store.set_register(PACE, 0, 0);
        ledger.read(&store)?;
        summary.times.next(took, all, last, own.newest, &folder)?;
        summary.rounds += 1;
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
    crew.kill_reserved(0)?;
    own.append(&store)?;
    drop(crew);
    ledger.read(&store)?;
    for writer in 0..WRITERS {
        ledger.compare(&folder, writer)?;
        summary.told += told(&folder, writer);
    }
    drop(store);
    let fresh =
        Store::open(&folder, &store_options(seed)).map_err(|error| format!("opening it again: {error}"))?;
    let mut again = Ledger::default();
    again.read(&fresh)?;
    ledger.same(&again)?;
    summary.stores += 1;
    summary.kills += done;
    summary.records += ledger.records;
    summary.bytes += ledger.bytes;
    let given_up = given_up(&folder).map_err(|error| error.to_string())?;
    // But for the one that slept.
    let by_chance = given_up.checked_sub(1);
    summary.given_up += by_chance.ok_or("what the one who slept had reserved was not given up")?;
    Ok(())
}

impl Times {
    /// An append before the kill, which stands at `at`, and the one before it at `last`.
    fn before(&mut self, took: Taken, last: Location, at: Location) -> Result<(), String> {
        match last.segment() == at.segment() {
            true => self.before.add(took),
            false => self.before_moving.add(took),
        }
    }

    /// The next append after a kill, which stands at `at`, and the one before it at `last`. Everything up to there has been read, so that
    /// of what the dead had reserved nothing is left that is not given up.
    fn next(
        &mut self,
        took: Taken,
        all: bool,
        last: Location,
        at: Location,
        folder: &Path,
    ) -> Result<(), String> {
        let series = match (all, last.segment() == at.segment()) {
            (true, true) => &mut self.all,
            (true, false) => &mut self.all_moving,
            (false, true) => &mut self.some,
            (false, false) => &mut self.some_moving,
        };
        series.add(took)?;
        match given_up_between(folder, last, at) {
            Ok(0) => Ok(()),
            Ok(_) => self.behind.add(took),
            Err(error) => Err(format!("the words between {last} and {at}: {error}")),
        }
    }
}

/// Reads on from one of the campaign's own records until another one is found.
fn until_read(store: &Store, from: Location, at: Location) -> Result<Taken, String> {
    let (found, took) = taken(|| {
        let mut cursor = Cursor::at(from);
        let started = Instant::now();
        let mut found = false;
        while !found && started.elapsed() < HELD_UP {
            store.scan(&mut cursor, &mut |_, seen, _| found |= seen == at)?;
        }
        Ok(found)
    });
    match found.map_err(|error: dbrewind_core::ReadError| format!("the log cannot be read: {error}"))? {
        true => Ok(took),
        false => Err(format!("what stands at {at} cannot be read {took:?} after all writers were killed")),
    }
}

/// The campaign's own records.
struct Own {
    number: u64,
    newest: Location,
}

impl Own {
    /// Appends the first one.
    fn new(store: &Store) -> Result<Self, String> {
        let mut own = Self { number: 0, newest: Location::default() };
        own.append(store)?;
        Ok(own)
    }

    /// Appends one.
    fn append(&mut self, store: &Store) -> Result<Taken, String> {
        self.number += 1;
        let body = body(WRITERS, self.number);
        let (at, took) = taken(|| store.append(head(WRITERS, self.number), &[&body]));
        self.newest = at.map_err(|error| format!("the next append: {error}"))?;
        Ok(took)
    }
}
