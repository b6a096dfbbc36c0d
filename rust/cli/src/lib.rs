//! The command line `dbrewind`: mark a SQLite database and rewind it in place, while programs use it.
//!
//! What each command does, its exit status and the shape of its JSON: `rust/docs/cli.md`.

mod arguments;
mod command;
mod exit;
mod failure;
mod header;
mod host;
mod location;
mod preload;
mod processes;
mod progress;
mod report;
mod session;
mod show;
mod signals;
mod wording;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;

use arguments::Arguments;
use failure::Failure;
use report::Report;

pub use host::{Host, HostSqlite};

/// Runs the command that the arguments name; the first one is the program's own name. Answers the exit status.
///
/// `host`: the program that the command is in.
///
/// It takes for granted that the process does nothing else: it uses a SQLite of its own, answers signals, and writes to standard
/// output and standard error.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>, host: Host<'_>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Nobody is left to tell when that cannot be written.
            let _ = usage.print();
            return u8::try_from(usage.exit_code()).unwrap_or(exit::USAGE);
        }
    };
    arguments.color.set();
    let json = arguments.json;
    let done = command::run(arguments, host);
    let written = match &done {
        Ok(report) => print(report, json),
        Err(failure) => failure.print(json),
    };
    match (done, written) {
        // Whoever does not want to read the end is served.
        (Ok(report), Ok(())) => report.status,
        (Ok(report), Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => report.status,
        (Ok(_), Err(error)) => {
            let _ = Failure::from(error).print(false);
            exit::FAILED
        }
        (Err(failure), _) => failure.status(),
    }
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    for note in &report.notes {
        writeln!(anstream::stderr(), "{}", show::note(note))?;
    }
    let mut out = anstream::stdout();
    let text = if json { &report.json } else { &report.text };
    if !text.is_empty() {
        writeln!(out, "{text}")?;
    }
    out.flush()
}
