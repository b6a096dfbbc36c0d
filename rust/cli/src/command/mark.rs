//! `dbrewind mark`: names the present moment.

use dbrewind_sqlite::{Code, JournalMode};
use serde::Serialize;

use super::within;
use crate::arguments::{MarkArgs, reads_as_lsn};
use crate::failure::Failure;
use crate::processes::Process;
use crate::report::{MarkFields, Report};
use crate::session::Session;
use crate::show;

#[derive(Serialize)]
struct Marked {
    path: String,
    #[serde(flatten)]
    mark: MarkFields,
    /// Other processes that have the history open.
    recorders: Vec<Process>,
}

pub(crate) fn run(args: &MarkArgs) -> Result<Report, Failure> {
    if reads_as_lsn(&args.name) {
        let text =
            format!("{:?} cannot name a mark here, since it reads as an LSN; choose another name", args.name);
        return Err(Failure::own(Code::InvalidArgument, text));
    }
    within(Session::begin(&args.database, &args.recording.options(&args.database))?, |session| {
        let database = &session.database;
        let mark = match args.pin {
            true => database.mark_pinned(&args.name)?,
            false => database.mark(&args.name)?,
        };
        let text = format!(
            "{}: mark {}{}{:#} at {}, {}",
            show::plain(&session.name()),
            show::STRONG,
            show::plain(&mark.name),
            show::STRONG,
            show::lsn(mark.lsn),
            show::pages(mark.pages)
        );
        let recorders = session.recorders.clone();
        let path = database.path().display().to_string();
        let alone = recorders.is_empty();
        let mut report = Report::new(&Marked { path, mark: MarkFields::of(&mark), recorders }, text)?;
        report.notes.extend(session.filled());
        if alone {
            report.notes.push(unrecorded(&session.word(), database.journal()));
        }
        Ok(report)
    })
}

/// What becomes of a mark when this process is gone, and nobody else records (`cli.md`, "Who records").
fn unrecorded(name: &str, journal: JournalMode) -> String {
    let until = match journal {
        JournalMode::Wal => {
            "what is written from now on is brought from the WAL into the file: by a checkpoint, or when the last program closes it"
        }
        JournalMode::Rollback => "a program without dbrewind's extension writes to it",
    };
    format!(
        "recording ends with this command. The mark is lost as soon as {until}. To keep it for certain, leave `dbrewind watch {name}` \
         running{}",
        match journal {
            JournalMode::Wal => "",
            JournalMode::Rollback => " with --journal wal",
        }
    )
}
