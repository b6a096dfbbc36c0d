//! The kill campaigns, the power cuts, and the processes they are done to.
//!
//! `crash [--kills N | --cuts N | --appends N] [--seed S] [--journal MODE] [--faults N] [--limit BYTES] [--verbose]`

use std::process::ExitCode;

use dbrewind_testkit::kill::{Options, record, run, write};
use dbrewind_testkit::peer::serve_stdio;
use dbrewind_testkit::{append, cut};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
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
        println!("{:#?}", append::run(&append::Options { kills, seed, binary, verbose }));
        return ExitCode::SUCCESS;
    }
    let summary = run(&options);
    println!("{summary:#?}");
    ExitCode::SUCCESS
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
