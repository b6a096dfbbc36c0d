//! `dbrewind run`: records while a program runs, and rewinds around it.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use dbrewind_sqlite::{Code, JournalMode, RewindOptions, Target, interruptible};
use serde::Serialize;

use super::rewind::{RewoundFields, told};
use super::within;
use crate::arguments::{RunArgs, When, target};
use crate::failure::Failure;
use crate::report::Report;
use crate::session::Session;
use crate::show;
use crate::signals::PassedOn;

/// How often it looks whether the program has ended.
const EVERY: Duration = Duration::from_millis(10);

#[derive(Serialize)]
struct Ran {
    path: String,
    /// What the program exited with; 128 and the signal's number when one ended it.
    exit: u8,
    rewound: Option<RewoundFields>,
}

pub(crate) fn run(args: &RunArgs) -> Result<Report, Failure> {
    let signals = PassedOn::watch()?;
    let asked = signals.clone();
    interruptible(
        move || asked.is_asked_for(),
        || {
            let session = Session::begin(&args.database, &args.recording.options(&args.database))?;
            within(session, |session| around(args, session, &signals))
        },
    )
}

fn around(args: &RunArgs, session: &Session, signals: &PassedOn) -> Result<Report, Failure> {
    let database = &session.database;
    if database.journal() == JournalMode::Rollback {
        let text = format!(
            "{} is in a rollback journal mode, in which a program must record what it writes itself",
            session.name()
        );
        return Err(Failure::own(Code::Unreachable, text)
            .with_fix("take the database to WAL mode: `dbrewind run --journal wal ...`"));
    }
    let rewind = |to: &Target| {
        let options = RewindOptions { timeout: Some(args.database.timeout), use_earliest: false };
        Ok::<_, Failure>(database.rewind(to, options)?)
    };
    let given = args.to.as_deref().map(target).transpose()?;
    let mut rewound = None;
    let before = match (args.rewind, given) {
        (Some(When::Before), to) => {
            let to = to.map_or_else(|| session.newest_mark(), Ok)?;
            rewound = Some((rewind(&to)?, to));
            None
        }
        // It is known that it can be reached before anything is started.
        (Some(When::After), Some(to)) => {
            database.dirty_since(&to)?;
            Some(to)
        }
        (Some(When::After), None) => Some(Target::Lsn(database.now()?)),
        (None, _) => None,
    };
    let status = wait(start(args)?, signals)?;
    if let Some(to) = before {
        rewound = Some((rewind(&to)?, to));
    }
    let exit = exit_of(status);
    let fields = rewound.as_ref().map(|(done, _)| RewoundFields::of(session, done));
    let path = database.path().display().to_string();
    let mut report = Report::new(&Ran { path, exit, rewound: fields }, String::new())?;
    // Standard output is the program's.
    report.notes.extend(rewound.iter().map(|(done, to)| told(session, to, done).replace('\n', "; ")));
    report.status = exit;
    Ok(report)
}

fn start(args: &RunArgs) -> Result<Child, Failure> {
    let mut words = args.command.iter();
    let program = words.next().cloned().unwrap_or_default();
    Command::new(&program).args(words).spawn().map_err(|error| {
        let text = format!("cannot start {}: {error}", show::plain(&program.to_string_lossy()));
        Failure::own(Code::Io, text).with_fix("check the program behind `--`")
    })
}

/// Until the program has ended. What others ask of this process, they ask of the program.
fn wait(mut child: Child, signals: &PassedOn) -> Result<ExitStatus, Failure> {
    loop {
        let ended = child.try_wait();
        let ended =
            ended.map_err(|error| Failure::own(Code::Io, format!("cannot wait for the program: {error}")))?;
        if let Some(status) = ended {
            return Ok(status);
        }
        signals.pass_on(child.id());
        std::thread::sleep(EVERY);
    }
}

fn exit_of(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map_or(i32::from(crate::exit::FAILED), |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(by_signal)).unwrap_or(crate::exit::FAILED)
}
