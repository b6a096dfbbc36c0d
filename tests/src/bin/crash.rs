//! The kill campaigns, the power cuts, and the processes they are done to.
//!
//! `crash [--kills N | --cuts N | --appends N [--record STEM]] [--seed S] [--journal MODE] [--faults N] [--limit BYTES] [--verbose]`

#[path = "../../../rust/core/examples/support/recorded.rs"]
mod recorded;

use std::process::ExitCode;

use dbrewind_testkit::kill::{Options, record, run, write};
use dbrewind_testkit::peer::serve_stdio;
use dbrewind_testkit::{append, cut};
use recorded::{Recorded, take_option};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let stem = take_option(&mut arguments, "--record");
    let mut arguments = arguments.into_iter();
    let (mut cuts, mut appends, mut limit) = (None, None, None);
    let mut options = Options {
        kills: 500,
        seed: 0x6b69_6c6c_0000,
        binary: std::env::current_exe().unwrap_or_default(),
        journal: None,
        faults: None,
        verbose: false,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "serve" => {
                serve_stdio();
                return ExitCode::SUCCESS;
            }
            life @ ("record" | "write") => match (serde_json::from_str(&value()), life) {
                (Ok(life), "record") => {
                    record(life);
                    return ExitCode::SUCCESS;
                }
                (Ok(life), _) => write(&life),
                (Err(error), _) => return complain(&error.to_string()),
            },
            "append" => match serde_json::from_str(&value()) {
                Ok(life) => append::write(&life),
                Err(error) => return complain(&error.to_string()),
            },
            "--appends" => appends = Some(number(&value())),
            "--kills" => options.kills = number(&value()),
            "--limit" => limit = Some(number(&value())),
            "--cuts" => cuts = Some(number(&value())),
            "--seed" => options.seed = number(&value()),
            "--journal" => options.journal = Some(value()),
            "--faults" => options.faults = Some(number(&value())),
            "--verbose" => options.verbose = true,
            other => return complain(&format!("unknown: {other}")),
        }
    }
    if let Some(cuts) = cuts {
        let Options { seed, binary, journal, verbose, .. } = options;
        let options = cut::Options { cuts, each: 40, seed, binary, journal, limit, verbose };
        println!("{:#?}", cut::run(&options));
        return ExitCode::SUCCESS;
    }
    if let Some(kills) = appends {
        let Options { seed, binary, verbose, .. } = options;
        return kill_writers(&append::Options { kills, seed, binary, apart: true, verbose }, stem);
    }
    let summary = run(&options);
    println!("{summary:#?}");
    ExitCode::SUCCESS
}

/// Kills of four writers to one store, and what the next writer waits.
fn kill_writers(options: &append::Options, stem: Option<String>) -> ExitCode {
    let mut out = Recorded::new("Appending while writers are killed", stem);
    let summary = append::run(options);
    summary.lines().iter().for_each(|line| out.line(line));
    for (what, series) in summary.series() {
        series.own().for_each(|took| out.sample(&format!("{what}, own us"), took));
    }
    match out.keep() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string()),
    }
}

fn number(text: &str) -> u64 {
    let parsed = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
    parsed.unwrap_or_else(|_| {
        let _code = complain(&format!("not a number: {text:?}"));
        std::process::exit(2)
    })
}

fn complain(text: &str) -> ExitCode {
    eprintln!("crash: {text}");
    ExitCode::from(2)
}
