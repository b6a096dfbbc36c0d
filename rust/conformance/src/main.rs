//! `dbrewind-conformance DRIVER.so [--seed N] [--rounds N] [--seconds N]`: tries an engine that records itself with dbrewind, and prints what it
//! breaks. Exit status 0: nothing; 1: something; 2: it could not be tried (`rust/docs/volumes.md`).

mod ffi;
mod random;
mod trials;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use ffi::Driver;
use trials::TRIALS;

/// What was asked for.
struct Asked {
    driver: PathBuf,
    seed: u64,
    rounds: u64,
    /// How long one trial may take.
    longest: Duration,
}

const USAGE: &str = "usage: dbrewind-conformance DRIVER.so [--seed N] [--rounds N] [--seconds N]
--seconds: how long one round of a trial may take, 180 unless told.
The driver is a shared library as dbrewind-driver.h describes it. Each trial runs in a process of its own, in a folder of its own.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--part", name, driver, folder, seed] = words.as_slice() {
        return run_part(name, Path::new(driver), Path::new(folder), seed.parse().unwrap_or(0));
    }
    match asked(&words) {
        Some(asked) => try_all(&asked),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn asked(words: &[&str]) -> Option<Asked> {
    let (driver, mut rest) = words.split_first().filter(|(driver, _)| !driver.starts_with('-'))?;
    let (mut seed, mut rounds, mut seconds) = (1, 3, 180);
    while let [name, value, more @ ..] = rest {
        let value = value.parse().ok()?;
        match *name {
            "--seed" => seed = value,
            "--rounds" => rounds = value,
            "--seconds" => seconds = value,
            _ => return None,
        }
        rest = more;
    }
    let longest = Duration::from_secs(seconds);
    rest.is_empty().then(|| Asked { driver: PathBuf::from(driver), seed, rounds, longest })
}

/// A part of a trial, in this process.
fn run_part(name: &str, path: &Path, folder: &Path, seed: u64) -> ExitCode {
    ffi::end_with_parent();
    let result = Driver::load(path).and_then(|driver| match name {
        "victim" => trials::victim(&driver, folder, seed),
        "second" => trials::second(&driver, folder, seed),
        _ => {
            let trial = TRIALS.iter().find(|trial| trial.name == name).ok_or("no such trial")?;
            (trial.run)(&driver, path, folder, seed)
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn try_all(asked: &Asked) -> ExitCode {
    let Asked { driver: path, seed, rounds, longest } = asked;
    let driver = match Driver::load(path) {
        Ok(driver) => driver,
        Err(what) => {
            eprintln!("{} is no driver: {what}", path.display());
            return ExitCode::from(2);
        }
    };
    let mut broken = 0;
    for trial in &TRIALS {
        if !(trial.fits)(&driver) {
            println!("skip  {:<10} the driver's flags leave it out", trial.name);
            continue;
        }
        let found = (*seed..seed.saturating_add(*rounds)).find_map(|seed| {
            let result = try_one(trial.name, path, seed, *longest);
            result.err().map(|what| format!("seed {seed}: {what}"))
        });
        match found {
            None => println!("ok    {:<10} {}", trial.name, trial.about),
            Some(what) => {
                broken += 1;
                println!("FAIL  {:<10} {what}", trial.name);
            }
        }
    }
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a trial in a process of its own, which the driver may take down.
fn try_one(name: &str, path: &Path, seed: u64, longest: Duration) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(text)?;
    let (said, engine) = (folder.path().join("said"), folder.path().join("engine"));
    std::fs::create_dir(&engine).map_err(text)?;
    let output = std::fs::File::create(&said).map_err(text)?;
    let mut command = trials::part(name, path, &engine, seed)?;
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn().map_err(text)?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(text)? {
            break status;
        }
        if started.elapsed() > longest {
            // What it has started ends with it.
            child.kill().map_err(text)?;
            child.wait().map_err(text)?;
            return Err(format!(
                "it was not done after {} s: a lock that is never given back?",
                longest.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(&said).unwrap_or_default();
    let what = said.lines().last().unwrap_or("it said nothing").to_owned();
    match status.code() {
        Some(1) => Err(what),
        _ => Err(format!("its process ended with {status}: {what}")),
    }
}
