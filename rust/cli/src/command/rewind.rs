//! `dbrewind rewind`: makes the database what it was.

use dbrewind_sqlite::{Method, RewindOptions, Rewound, Target};
use serde::Serialize;

use super::within;
use crate::arguments::RewindArgs;
use crate::failure::Failure;
use crate::report::Report;
use crate::session::Session;
use crate::show;

/// As Python's `Rewound`.
#[derive(Serialize)]
pub(crate) struct RewoundFields {
    path: String,
    to: u64,
    time: String,
    undo: u64,
    pages: u64,
    seconds: f64,
    method: &'static str,
}

impl RewoundFields {
    pub(crate) fn of(session: &Session, done: &Rewound) -> Self {
        Self {
            path: session.database.path().display().to_string(),
            to: done.to.get(),
            time: show::time(done.time),
            undo: done.undo.get(),
            pages: done.pages,
            seconds: done.seconds,
            method: match done.method {
                Method::Moved => "moved",
                Method::Written => "written",
                Method::Nothing => "nothing",
            },
        }
    }
}

pub(crate) fn run(args: &RewindArgs) -> Result<Report, Failure> {
    within(Session::open(&args.database)?, |session| {
        let of_rewind = |failure: Failure| failure.of_rewind(args.mark || args.to.is_empty());
        let to = match args.mark {
            true => Target::Name(args.to.join(" ")),
            false => session.target(&args.to).map_err(of_rewind)?,
        };
        let options = RewindOptions { timeout: Some(args.database.timeout), use_earliest: args.use_earliest };
        let done = session.database.rewind(&to, options).map_err(|error| of_rewind(error.into()))?;
        Report::new(&RewoundFields::of(session, &done), told(session, &to, &done))
    })
}

/// Two lines: what was done, and what takes it back.
pub(crate) fn told(session: &Session, to: &Target, done: &Rewound) -> String {
    let name = show::plain(&session.name());
    let place = match to {
        Target::Name(mark) => format!("mark {}{}{:#}, ", show::STRONG, show::plain(mark), show::STRONG),
        Target::Lsn(_) | Target::Time(_) | Target::Ago(_) => String::new(),
    };
    let moment = format!("{place}{} of {}", show::lsn(done.to), show::time(done.time));
    if done.method == Method::Nothing {
        return format!("{name} is at {moment} already");
    }
    let (pages, took) = (show::pages(done.pages), show::took(done.seconds));
    format!(
        "{name} is at {moment}: {pages} in {took}\nundo: dbrewind rewind {} {}",
        show::plain(&session.word()),
        done.undo
    )
}
