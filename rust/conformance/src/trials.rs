//! What a driver is tried with. Each trial runs in a process of its own and ends with what it found broken.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::ffi::{Driver, Engine};
use crate::random::Random;

/// One kind of trial.
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    /// What it tries.
    pub(crate) about: &'static str,
    /// Whether a driver has what it takes.
    pub(crate) fits: fn(&Driver) -> bool,
    pub(crate) run: fn(&Driver, &Path, &Path, u64) -> Result<(), String>,
}

/// All of them.
pub(crate) const TRIALS: [Trial; 5] = [
    Trial {
        name: "order",
        about: "marks, rewinds and undo in any order, against digests",
        fits: |_| true,
        run: order,
    },
    Trial {
        name: "again",
        about: "the same steps after the same rewind lead to the same content",
        fits: |_| true,
        run: again,
    },
    Trial {
        name: "threads",
        about: "marks and rewinds while threads change the content",
        fits: Driver::has_threads,
        run: threads,
    },
    Trial {
        name: "crash",
        about: "a process is killed in changes, marks and rewinds",
        fits: Driver::is_persistent,
        run: crash,
    },
    Trial {
        name: "processes",
        about: "two processes change, mark and rewind",
        fits: Driver::is_persistent,
        run: processes,
    },
];

fn expect(engine: &Engine, expected: u64, when: &str) -> Result<(), String> {
    let found = engine.digest()?;
    if found == expected {
        return Ok(());
    }
    Err(format!("{when} the digest is {found:016x}, not {expected:016x}"))
}

fn steps(engine: &Engine, random: &mut Random, most: u64) -> Result<(), String> {
    for _ in 0..=random.below(most) {
        engine.step(random.next())?;
    }
    Ok(())
}

fn order(driver: &Driver, _: &Path, folder: &Path, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let mut engine = driver.open(folder)?;
    let mut marks: Vec<(String, u64)> = Vec::new();
    let mut undos: Vec<(u64, u64)> = Vec::new();
    for round in 0..150 {
        steps(&engine, &mut random, 6)?;
        if round % 3 == 0 {
            let name = format!("m{round}");
            let digest = engine.digest()?;
            engine.mark(&name)?;
            expect(&engine, digest, "after a mark")?;
            marks.push((name, digest));
        }
        let (before, which) = (engine.digest()?, random.below(marks.len() as u64));
        let Some((name, digest)) = usize::try_from(which).ok().and_then(|which| marks.get(which)) else {
            continue;
        };
        match random.below(3) {
            0 => {
                let undo = engine.rewind(name)?;
                expect(&engine, *digest, &format!("round {round}: after a rewind to {name:?}"))?;
                // A rewind that had nothing to do answers its target.
                undos.push((undo, before));
            }
            1 => {
                let which = usize::try_from(random.below(undos.len() as u64)).unwrap_or(0);
                if let Some((lsn, digest)) = undos.get(which).copied() {
                    engine.undo(lsn)?;
                    expect(
                        &engine,
                        digest,
                        &format!("round {round}: after a rewind to LSN {lsn} was undone"),
                    )?;
                }
            }
            _ if driver.is_persistent() && random.below(4) == 0 => {
                drop(engine);
                engine = driver.open(folder)?;
                expect(&engine, before, &format!("round {round}: after closing and opening"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn again(driver: &Driver, _: &Path, folder: &Path, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let engine = driver.open(folder)?;
    steps(&engine, &mut random, 20)?;
    engine.mark("base")?;
    for round in 0..40 {
        let (mut first, mut second) = (Random(seed + round), Random(seed + round));
        steps(&engine, &mut first, 12)?;
        let digest = engine.digest()?;
        engine.rewind("base")?;
        steps(&engine, &mut second, 12)?;
        let when =
            format!("round {round}: after the same steps from the same mark (a cache that a rewind left?)");
        expect(&engine, digest, &when)?;
        engine.rewind("base")?;
    }
    Ok(())
}

/// Each mark is gone to twice, in both directions.
fn all_stay(engine: &Engine, marks: &[String]) -> Result<(), String> {
    let mut found = BTreeMap::new();
    for name in marks {
        engine.rewind(name)?;
        let when = "a mark is in the midst of a change, does lock let others in?";
        engine.check().map_err(|error| format!("after a rewind to {name:?}: {error} ({when})"))?;
        found.insert(name, engine.digest()?);
    }
    for name in marks.iter().rev() {
        engine.rewind(name)?;
        let first = found.get(name).copied().unwrap_or(0);
        expect(engine, first, &format!("the second time at {name:?}"))?;
    }
    Ok(())
}

/// An engine with some content, marked `start`, and that content's digest.
fn begun(driver: &Driver, folder: &Path, random: &mut Random) -> Result<(Engine, u64), String> {
    let engine = driver.open(folder)?;
    steps(&engine, random, 20)?;
    let start = engine.digest()?;
    engine.mark("start")?;
    Ok((engine, start))
}

fn threads(driver: &Driver, _: &Path, folder: &Path, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let (engine, start) = begun(driver, folder, &mut random)?;
    let mut marks = vec!["start".to_owned()];
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let engine = &engine;
                scope.spawn(move || {
                    let mut random = Random(seed * 10 + worker);
                    (0..250).try_for_each(|_| engine.step(random.next()))
                })
            })
            .collect();
        for round in 0..20 {
            let name = format!("m{round}");
            engine.mark(&name)?;
            if round % 4 == 3 {
                engine.rewind(&name)?;
            }
            marks.push(name);
        }
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    engine.rewind("start")?;
    expect(&engine, start, "after four threads, back at the start,")?;
    all_stay(&engine, &marks)
}

/// Runs this program once more, as a part of a trial.
pub(crate) fn part(name: &str, driver: &Path, folder: &Path, seed: u64) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--part", name]).arg(driver).arg(folder).arg(seed.to_string());
    Ok(command)
}

fn say(words: &str) -> Result<(), String> {
    writeln!(std::io::stdout().lock(), "> {words}").map_err(|error| error.to_string())
}

/// What is killed.
pub(crate) fn victim(driver: &Driver, folder: &Path, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let engine = driver.open(folder)?;
    let mut names: Vec<String> = Vec::new();
    for round in 0.. {
        steps(&engine, &mut random, 4)?;
        if round % 2 == 0 {
            let name = format!("{seed}-{round}");
            say(&format!("marking {name} {}", engine.digest()?))?;
            engine.mark(&name)?;
            say("marked")?;
            names.push(name);
        } else if let Some(name) =
            usize::try_from(random.below(names.len() as u64)).ok().and_then(|at| names.get(at))
        {
            say(&format!("rewinding {} {name}", engine.digest()?))?;
            engine.rewind(name)?;
            say("rewound")?;
        }
    }
    Ok(())
}

fn crash(driver: &Driver, path: &Path, folder: &Path, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let mut marks: BTreeMap<String, u64> = BTreeMap::new();
    for life in 0..12 {
        let mut child = part("victim", path, folder, seed * 1000 + life)?
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        std::thread::sleep(Duration::from_micros(20_000 + random.below(60_000)));
        child.kill().map_err(|error| error.to_string())?;
        let (mut marking, mut rewinding) = (None, None);
        let said = child.stdout.take().ok_or("no output")?;
        for line in BufReader::new(said).lines() {
            let line = line.map_err(|error| error.to_string())?;
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                [">", "marking", name, digest] => {
                    marking = Some(((*name).to_owned(), digest.parse::<u64>().unwrap_or(0)));
                }
                [">", "marked"] => marks.extend(marking.take()),
                [">", "rewinding", from, name] => {
                    rewinding = Some((from.parse::<u64>().unwrap_or(0), (*name).to_owned()));
                }
                [">", "rewound"] => rewinding = None,
                _ => {}
            }
        }
        let ended = child.wait().map_err(|error| error.to_string())?;
        if let Some(code) = ended.code() {
            return Err(format!(
                "life {life}: a process that was opened after a kill ended by itself, with {code}"
            ));
        }
        let engine = driver.open(folder).map_err(|error| format!("life {life}: after a kill {error}"))?;
        if let Some((from, name)) = rewinding {
            let (found, to) = (engine.digest()?, marks.get(&name).copied().unwrap_or(from));
            if found != from && found != to {
                let text = "killed in a rewind the content is neither the old one nor the mark's";
                return Err(format!("life {life}: {text}"));
            }
        }
        let before = engine.digest()?;
        // After a kill in a change the content may be half of it, until the engine has seen to that.
        let name = format!("after {life}");
        engine.mark(&name)?;
        marks.insert(name.clone(), before);
        for (name, digest) in marks.iter().rev().take(8) {
            engine.rewind(name)?;
            expect(&engine, *digest, &format!("life {life}: after a kill and a rewind to {name:?}"))?;
        }
        engine.rewind(&name)?;
        expect(&engine, before, &format!("life {life}: back at what was found"))?;
    }
    if marks.len() < 20 {
        return Err(format!(
            "too little happened before the kills: {} marks; make steps shorter",
            marks.len()
        ));
    }
    Ok(())
}

/// What a second process does.
pub(crate) fn second(driver: &Driver, folder: &Path, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let engine = driver.open(folder)?;
    for round in 0..40 {
        steps(&engine, &mut random, 8)?;
        let name = format!("second {round}");
        engine.mark(&name)?;
        if round % 5 == 4 {
            engine.rewind(&name)?;
        }
        say(&name)?;
    }
    Ok(())
}

fn processes(driver: &Driver, path: &Path, folder: &Path, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let (engine, start) = begun(driver, folder, &mut random)?;
    let mut marks = vec!["start".to_owned()];
    let mut child = part("second", path, folder, seed + 1)?
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    for round in 0..40 {
        steps(&engine, &mut random, 8)?;
        let name = format!("first {round}");
        engine.mark(&name)?;
        if round % 7 == 6 {
            engine.rewind(&name)?;
        }
        marks.push(name);
    }
    let said = child.stdout.take().ok_or("no output")?;
    for line in BufReader::new(said).lines() {
        let line = line.map_err(|error| error.to_string())?;
        marks.extend(line.strip_prefix("> ").map(str::to_owned));
    }
    let ended = child.wait().map_err(|error| error.to_string())?;
    if !ended.success() {
        return Err(format!("the second process ended with {ended}"));
    }
    engine.rewind("start")?;
    expect(&engine, start, "after two processes, back at the start,")?;
    all_stay(&engine, &marks)
}
