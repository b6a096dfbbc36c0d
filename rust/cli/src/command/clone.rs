//! `dbrewind clone`: a copy of a moment.

use dbrewind_sqlite::Target;
use serde::Serialize;

use super::within;
use crate::arguments::CloneArgs;
use crate::failure::Failure;
use crate::report::Report;
use crate::session::Session;
use crate::show;

#[derive(Serialize)]
struct Cloned {
    path: String,
    /// The copy.
    clone: String,
    bytes: u64,
    seconds: f64,
}

pub(crate) fn run(args: &CloneArgs) -> Result<Report, Failure> {
    within(Session::open(&args.database)?, |session| {
        let started = std::time::Instant::now();
        let of = match args.of.as_slice() {
            [] => Target::Lsn(session.database.now()?),
            words => session.target(words)?,
        };
        session.database.clone_to(&of, &args.new)?;
        let seconds = started.elapsed().as_secs_f64();
        let bytes = std::fs::metadata(&args.new).map_or(0, |found| found.len());
        let new = std::path::absolute(&args.new).unwrap_or_else(|_| args.new.clone());
        let text = format!(
            "{}: {} of {} in {}",
            show::plain(&args.new.display().to_string()),
            show::bytes(bytes),
            show::plain(&session.name()),
            show::took(seconds)
        );
        let path = session.database.path().display().to_string();
        Report::new(&Cloned { path, clone: new.display().to_string(), bytes, seconds }, text)
    })
}
