//! `dbrewind run`: records while a program runs, and rewinds around it.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use dbrewind_sqlite::{Code, Database, JournalMode, RewindOptions, Rewound, Target, interruptible};
use serde::Serialize;

use super::rewind::{RewoundFields, told};
use super::within;
use crate::arguments::{RunArgs, When, target};
use crate::failure::Failure;
use crate::preload::Preload;
use crate::report::Report;
use crate::session::Session;
use crate::show;
use crate::signals::PassedOn;

/// How often it looks whether the program has ended.
const EVERY: Duration = Duration::from_millis(10);
/// How many of these looks there are from one at the database to the next.
const BETWEEN_LOOKS: u32 = 20;

#[derive(Serialize)]
struct Ran {
    path: String,
    /// What the program exited with; 128 and the signal's number when one ended it.
    exit: u8,
    rewound: Option<RewoundFields>,
}

/// `beside`: a folder in which the library for a program in a rollback mode may be.
pub(crate) fn run(args: &RunArgs, beside: Option<&Path>) -> Result<Report, Failure> {
    let signals = PassedOn::watch()?;
    let asked = signals.clone();
    interruptible(
        move || asked.is_asked_for(),
        || {
            let options = args.recording.options(&args.database);
            // Where it goes to what was recorded before, that must be this file's.
            let goes_back = args.rewind == Some(When::Before) || args.to.is_some();
            let session = match goes_back {
                true => Session::go_on(&args.database, &options)?,
                false => Session::begin(&args.database, &options)?,
            };
            within(session, |session| around(args, session, &signals, beside))
        },
    )
}

fn around(
    args: &RunArgs,
    session: &Session,
    signals: &PassedOn,
    beside: Option<&Path>,
) -> Result<Report, Failure> {
    let database = &session.database;
    let program = args.command.first().map(OsString::as_os_str).unwrap_or_default();
    // In WAL mode programs need nothing.
    let preload = match database.journal() {
        JournalMode::Wal => None,
        JournalMode::Rollback => Some(Preload::for_program(program, beside)?),
    };
    let given = args.to.as_deref().map(target).transpose()?;
    let mut rewound = None;
    let mut after = None;
    match (args.rewind, given) {
        (Some(When::Before), to) => {
            let to = to.map_or_else(|| session.newest_mark(), Ok)?;
            rewound = Some((rewind(args, session, &to)?, to));
        }
        // It is known that it can be reached before anything is started.
        (Some(When::After), Some(to)) => {
            database.dirty_since(&to)?;
            after = Some((to, None));
        }
        (Some(When::After), None) => after = Some(present(database)?),
        (None, _) => {}
    }
    let done = start(args, preload.as_ref(), database).and_then(|child| wait(child, signals, session));
    // What could not be recorded is found out first: a rewind would say no more than that.
    let recorded = preload.map_or(Ok(()), Preload::finish);
    let status = done?;
    if let Some((to, mark)) = after {
        let done = rewind(args, session, &to);
        if let Some(mark) = mark {
            // After a rewind that failed it is the way back.
            done.as_ref().map_or(Ok(()), |_| database.drop_mark(&mark))?;
        }
        recorded?;
        rewound = Some((done?, to));
    } else {
        recorded?;
        // A write past the recording is told now, not by the next command.
        database.now()?;
    }
    let exit = exit_of(status);
    let fields = rewound.as_ref().map(|(done, _)| RewoundFields::of(session, done));
    let path = database.path().display().to_string();
    let mut report = Report::new(&Ran { path, exit, rewound: fields }, String::new())?;
    // Standard output is the program's.
    let plain = |text: String| anstream::adapter::strip_str(&text).to_string().replace('\n', "; ");
    report.notes.extend(session.filled());
    report.notes.extend(rewound.iter().map(|(done, to)| plain(told(session, to, done))));
    report.status = exit;
    Ok(report)
}

fn rewind(args: &RunArgs, session: &Session, to: &Target) -> Result<Rewound, Failure> {
    let options = RewindOptions { timeout: Some(args.database.timeout), use_earliest: false };
    Ok(session.database.rewind(to, options)?)
}

/// The present moment, to come back to, and the mark that keeps it in a rollback mode, where others would not.
fn present(database: &Database) -> Result<(Target, Option<String>), Failure> {
    if database.journal() == JournalMode::Wal {
        return Ok((Target::Lsn(database.now()?), None));
    }
    let name = format!("before dbrewind run, process {}", std::process::id());
    database.mark_pinned(&name)?;
    Ok((Target::Name(name.clone()), Some(name)))
}

fn start(args: &RunArgs, preload: Option<&Preload>, database: &Database) -> Result<Child, Failure> {
    let mut words = args.command.iter();
    let program = words.next().cloned().unwrap_or_default();
    let mut command = Command::new(&program);
    if let Some(preload) = preload {
        preload.put_into(&mut command, database);
    }
    command.args(words).spawn().map_err(|error| {
        let text = format!("cannot start {}: {error}", show::plain(&program.to_string_lossy()));
        Failure::own(Code::Io, text).with_fix("check the program behind `--`")
    })
}

/// Until the program has ended. What others ask of this process, they ask of the program. A write past the recording is told when it
/// shows: what came of it, the caller says.
fn wait(mut child: Child, signals: &PassedOn, session: &Session) -> Result<ExitStatus, Failure> {
    let mut told = false;
    for round in 1_u32.. {
        let ended = child.try_wait();
        let ended =
            ended.map_err(|error| Failure::own(Code::Io, format!("cannot wait for the program: {error}")))?;
        if let Some(status) = ended {
            return Ok(status);
        }
        signals.pass_on(child.id());
        if !told && round.is_multiple_of(BETWEEN_LOOKS) && session.database.shows_unrecorded() {
            told = true;
            let text = format!(
                "[DBR001] something was written to {} that is not recorded, by a program into which nothing can be loaded, or which \
                 `dbrewind run` did not start",
                session.name()
            );
            // Nobody is left to tell when it cannot be written.
            let _ = writeln!(anstream::stderr(), "{}", show::note(&text));
        }
        std::thread::sleep(EVERY);
    }
    Err(Failure::own(Code::Internal, "the program never ended"))
}

fn exit_of(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map_or(i32::from(crate::exit::FAILED), |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(by_signal)).unwrap_or(crate::exit::FAILED)
}
