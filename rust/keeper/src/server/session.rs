use std::fs::File;
use std::io::Read;
use std::path::Path;

use dbrewind_sqlite::{Code, Database, Journal, OpenOptions, SqliteApi};

use crate::error::{Error, Refusal};
use crate::wire::{Reply, Request, VERSION, WireError};

/// One host's requests, in order: hello, open, then any others, close.
#[derive(Debug, Default)]
pub(super) struct Session {
    greeted: bool,
    database: Option<Database>,
}

/// What a request came to.
pub(super) enum Answer {
    Greeted {
        reply: Reply,
        /// The host's process id.
        host: u32,
    },
    Done(Reply),
    Refused(Refusal),
    /// The last answer.
    Closed(Result<(), Refusal>),
}

impl Answer {
    pub(super) fn defect(what: &str) -> Refusal {
        let text = format!("a defect in dbrewind: {what}; please report this text");
        Refusal { code: Code::Internal, text, fields: Vec::new() }
    }

    /// The answer to a question that was carried out cannot be sent.
    pub(super) fn too_long(error: &WireError) -> Refusal {
        let text = format!(
            "the answer is longer than a keeper can send: {error}; where two moments differ in so many rows, make copies of \
             both with db.clone(to, path), and compare them"
        );
        Refusal { code: Code::Unsupported, text, fields: Vec::new() }
    }
}

impl Session {
    pub(super) fn answer(&mut self, request: Result<Request, WireError>) -> Answer {
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                return Answer::Refused(Answer::defect(&format!("a request is malformed: {error}")));
            }
        };
        match request {
            Request::Hello { version, pid } => self.greet(version, pid),
            _ if !self.greeted => Answer::Refused(Answer::defect("a request came before hello")),
            Request::Close => Answer::Closed(self.close().map_err(|e| Refusal::of(&e))),
            Request::Open { path, options } => match self.open(&path, &options) {
                Ok(reply) => Answer::Done(reply),
                Err(error) => Answer::Refused(Refusal::of(&error)),
            },
            request => match &self.database {
                None => Answer::Refused(Answer::defect("a request came before open")),
                Some(database) => match ask(database, request) {
                    Ok(reply) => Answer::Done(reply),
                    Err(error) => Answer::Refused(Refusal::of(&error.into())),
                },
            },
        }
    }

    /// Closes the recording, if there is one.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        match self.database.take() {
            Some(database) => Ok(database.close()?),
            None => Ok(()),
        }
    }

    fn greet(&mut self, version: u32, host: u32) -> Answer {
        // Answered to every version: the host compares, and knows how to say it.
        self.greeted = version == VERSION;
        let sqlite = u32::try_from(SqliteApi::bundled().version()).unwrap_or(0);
        Answer::Greeted { reply: Reply::Welcome { version: VERSION, pid: std::process::id(), sqlite }, host }
    }

    fn open(&mut self, path: &Path, options: &OpenOptions) -> Result<Reply, Error> {
        if self.database.is_some() {
            return Err(dbrewind_sqlite::Error::Invalid {
                what: "a keeper records one database; start another one".to_owned(),
            }
            .into());
        }
        if options.journal == Some(Journal::Delete) {
            return Err(Error::Unreachable {
                what: "journal=\"delete\" asks for a rollback journal mode, which is recorded inside the SQLite that \
                       writes, and the keeper is another process"
                    .to_owned(),
            });
        }
        if options.journal.is_none() && is_rollback(path) {
            return Err(Error::Unreachable {
                what: format!(
                    "{} is in a rollback journal mode, which is recorded inside the SQLite that writes, and the keeper \
                     is another process",
                    path.display()
                ),
            });
        }
        let database = Database::open(SqliteApi::bundled(), path, options)?;
        let reply = Reply::Opened {
            path: database.path().to_owned(),
            store_path: database.store_path().to_owned(),
            journal: database.journal(),
        };
        self.database = Some(database);
        Ok(reply)
    }
}

fn ask(database: &Database, request: Request) -> Result<Reply, dbrewind_sqlite::Error> {
    Ok(match request {
        Request::Mark { name, pinned: false } => Reply::Mark(database.mark(&name)?),
        Request::Mark { name, pinned: true } => Reply::Mark(database.mark_pinned(&name)?),
        Request::Status => Reply::Status(database.status()?),
        Request::Marks => Reply::Marks(database.marks()?),
        Request::DropMark { name } => {
            database.drop_mark(&name)?;
            Reply::Done
        }
        Request::Rewind { to, options } => Reply::Rewound(database.rewind(&to, options)?),
        Request::DirtySince { to } => Reply::Flag(database.dirty_since(&to)?),
        Request::PositionAt { to } => Reply::Position(database.position_at(&to)?),
        Request::IsAt { position, at_rest: false } => Reply::Flag(database.is_at(position)?),
        Request::IsAt { position, at_rest: true } => Reply::Flag(database.rests_at(position)?),
        Request::Writers { since } => Reply::Writers(database.writers(&since)?),
        Request::RememberConnected { on } => {
            database.remember_connected(on)?;
            Reply::Done
        }
        Request::CloneTo { to, path } => {
            database.clone_to(&to, &path)?;
            Reply::Done
        }
        Request::Diff { from, to } => Reply::Diff(database.diff(&from, to.as_ref())?),
        Request::Now => Reply::Lsn(database.now()?),
        Request::Digest => Reply::Digest(database.digest()?),
        Request::Drain => {
            database.drain()?;
            Reply::Done
        }
        // Answered before this is called.
        Request::Hello { .. } | Request::Open { .. } | Request::Close => Reply::Done,
    })
}

/// Whether the file says that it is a database in a rollback mode. Anything else is left to the engine to judge.
/// Opening and closing the file here drops nobody's locks: this process has none yet.
fn is_rollback(path: &Path) -> bool {
    let mut head = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head.starts_with(b"SQLite format 3\0") && head.ends_with(&[1, 1])
}
