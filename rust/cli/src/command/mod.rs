//! One file for each command: what it does, and how it tells.

mod bench;
mod clone;
mod diff;
mod doctor;
mod drop;
mod list;
mod mark;
mod rewind;
mod run;
mod shell;
mod status;
mod volumes;
mod watch;

use dbrewind_sqlite::interruptible;

use crate::arguments::{Arguments, Command, DatabaseArgs};
use crate::failure::Failure;
use crate::host::Host;
use crate::location::Location;
use crate::progress::Progress;
use crate::report::Report;
use crate::session::Session;
use crate::signals::Ending;

/// Runs the command. `host`: the program that it is in.
pub(crate) fn run(mut arguments: Arguments, host: Host<'_>) -> Result<Report, Failure> {
    let mut vfs = None;
    if let Some((verb, path)) = arguments.command.about() {
        let found = Location::of(path.as_os_str())?;
        if let Some(done) = volumes::instead(verb, &found.path) {
            return done;
        }
        // From here on it is a path, also in what is printed.
        *path = found.path;
        vfs = found.vfs;
    }
    match arguments.command {
        Command::Status(args) => status::run(&args),
        Command::List(args) => list::run(&args),
        Command::Mark(args) => patiently("marking", &args.database, || mark::run(&args)),
        Command::Rewind(args) => patiently("rewinding", &args.database, || rewind::run(&args)),
        Command::Drop(args) => patiently("dropping a mark of", &args.database, || drop::run(&args)),
        Command::Diff(args) => progress("comparing", &args.database).of(|| diff::run(&args)),
        Command::Clone(args) => progress("cloning", &args.database).of(|| clone::run(&args)),
        Command::Doctor(args) => doctor::run(&args, vfs.as_deref(), host),
        Command::Bench(args) => bench::run(&args),
        Command::Run(args) => run::run(&args, host.beside),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { folder } => shell::man(&folder),
        Command::Watch(args) => watch::run(&args, arguments.json),
    }
}

/// That it goes on, for who looks at it for more than a second.
fn progress(verb: &str, database: &DatabaseArgs) -> Progress {
    Progress::begin(&format!("{verb} {}", database.path.display()))
}

/// Runs what changes something: Ctrl-C ends its waits, not what it does.
fn patiently(
    verb: &str,
    database: &DatabaseArgs,
    run: impl FnOnce() -> Result<Report, Failure>,
) -> Result<Report, Failure> {
    let ending = Ending::watch()?;
    progress(verb, database).of(|| interruptible(move || ending.is_asked_for(), run))
}

/// Does something with a database, and ends the recording of this process before anything is printed: whoever reads the result slowly
/// keeps nobody waiting.
fn within(
    session: Session,
    work: impl FnOnce(&Session) -> Result<Report, Failure>,
) -> Result<Report, Failure> {
    let done = work(&session);
    let name = session.name();
    let closed = session.close();
    let mut report = done?;
    if let Err(failure) = closed {
        report.notes.push(format!("the recording of {name} did not end as it should: {}", failure.text()));
        report.status = failure.status();
    }
    Ok(report)
}
