//! A peer's recording: the facade, asked by requests.

use std::path::Path;
use std::time::Duration;

use dbrewind_sqlite::{
    Database, Error, Journal, Lsn, Mark, Method, Moments, OpenOptions, SqliteApi, Synchronous, Target,
    Timestamp,
};

use crate::past::Views;
use crate::protocol::{Answer, Goal, Recording, Request};
use crate::serve::fault;

/// Opens a recording through this process's SQLite.
///
/// # Errors
/// See [`Database::open`].
pub fn attach(path: &Path, recording: &Recording) -> Result<Database, Error> {
    attach_as(path, recording, recording.wal.then_some(Journal::Wal))
}

fn attach_as(path: &Path, recording: &Recording, journal: Option<Journal>) -> Result<Database, Error> {
    let default = OpenOptions::default();
    let options = OpenOptions {
        store: recording.store.as_ref().map(Into::into),
        synchronous: match recording.synchronous {
            0 => Synchronous::Off,
            1 => Synchronous::Normal,
            _ => Synchronous::Full,
        },
        journal,
        wal_limit: recording.wal_limit.unwrap_or(default.wal_limit),
        limit: recording.limit,
        moments: Some(if recording.commits { Moments::Commits } else { Moments::Marks }),
        ..default
    };
    dbrewind_core::fuzzing::set_small_segments(recording.segments);
    Database::open(SqliteApi::bundled(), path, &options)
}

/// The facade's target for a goal.
#[must_use]
pub fn target(goal: &Goal) -> Target {
    match goal {
        Goal::Name(name) => Target::Name(name.clone()),
        Goal::Lsn(lsn) => Target::Lsn(Lsn::new(*lsn)),
        Goal::Time(time) => Target::Time(Timestamp::new(*time)),
    }
}

#[derive(Default)]
pub(crate) struct Slot(Option<Database>, Views);

impl Slot {
    pub(crate) fn handle(&mut self, request: Request) -> Answer {
        if matches!(request, Request::Attach { .. } | Request::LeaveWal { .. } | Request::Detach) {
            // What they read is kept by the recording.
            self.1 = Views::default();
        }
        if let Request::Attach { path, options } = &request {
            self.0 = None;
            return match attach(Path::new(path), options) {
                Ok(database) => {
                    self.0 = Some(database);
                    Answer::Done
                }
                Err(error) => refused(&error),
            };
        }
        if let Request::LeaveWal { path, options } = &request {
            self.0 = None;
            return match attach_as(Path::new(path), options, Some(Journal::Delete)) {
                Ok(database) => {
                    self.0 = Some(database);
                    Answer::Done
                }
                Err(error) => refused(&error),
            };
        }
        let Some(database) = &self.0 else { return fault("nothing is recorded") };
        let answer = match &request {
            Request::Past { to, dump } => self.1.read(database, to, Path::new(dump)),
            other => ask(database, other),
        };
        if matches!(request, Request::Detach) {
            self.0 = None;
        }
        answer.unwrap_or_else(|error| refused(&error))
    }
}

fn ask(database: &Database, request: &Request) -> Result<Answer, Error> {
    Ok(match request {
        Request::Mark { name, pin: false } => Answer::Lsn { lsn: database.mark(name)?.lsn.get() },
        Request::Mark { name, pin: true } => Answer::Lsn { lsn: database.mark_pinned(name)?.lsn.get() },
        Request::Marks => Answer::Rows { rows: database.marks()?.iter().map(row).collect() },
        Request::DropMark { name } => {
            database.drop_mark(name)?;
            Answer::Done
        }
        Request::Rewind { to, timeout } => {
            let done = database.rewind(&target(to), Some(Duration::from_millis(*timeout)))?;
            let method = match done.method {
                Method::Moved => "moved",
                Method::Written => "written",
                Method::Nothing => "nothing",
            };
            Answer::Rewound {
                to: done.to.get(),
                undo: done.undo.get(),
                pages: done.pages,
                method: method.to_owned(),
            }
        }
        Request::Dirty { since } => Answer::Flag { yes: database.dirty_since(&target(since))? },
        Request::Now => Answer::Lsn { lsn: database.now()?.get() },
        Request::Digest => {
            let digest = u128::from_be_bytes(database.digest()?);
            Answer::Digest { digest: format!("{digest:032x}") }
        }
        Request::Drain => {
            database.drain()?;
            Answer::Done
        }
        Request::Detach => {
            database.close()?;
            Answer::Done
        }
        other => fault(&format!("not for a recording: {other:?}")),
    })
}

/// Name, LSN, pages and state of a mark, in words.
#[must_use]
pub fn row(mark: &Mark) -> Vec<String> {
    let state = format!("{:?}", mark.state).to_lowercase();
    vec![mark.name.clone(), mark.lsn.get().to_string(), mark.pages.to_string(), state]
}

fn refused(error: &Error) -> Answer {
    Answer::Failed { code: error.code().text().to_owned(), text: error.to_string() }
}
