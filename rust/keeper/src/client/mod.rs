//! The host's side.

mod command;
mod link;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use dbrewind_sqlite::{
    Diff, Error as EngineError, JournalMode, Lsn, Mark, OpenOptions, Position, RewindOptions, Rewound,
    Status, Target, Writer, lock_patiently,
};

pub use command::KeeperCommand;

use crate::error::{Error, Failure};
use crate::wire::{Reply, Request};
use link::Link;

/// How much longer than its timeout an operation is waited for whose work does not depend on the data.
const SHORT: Duration = Duration::from_secs(10);
/// The same for an operation that reads or writes as much as there is.
const LONG: Duration = Duration::from_secs(300);

/// A database that a keeper process records, for as long as this handle lives.
///
/// The same methods, errors and texts as [`dbrewind_sqlite::Database`], and in addition `DBR024` when the keeper
/// has ended or does not answer. Every call may be made from any thread; they take turns. Dropping the handle
/// closes it, without a place for an error.
///
/// ```no_run
/// use dbrewind_keeper::{KeeperClient, KeeperCommand};
/// let command = KeeperCommand::new("dbrewind-keeper");
/// let db = KeeperClient::open(&command, "app.db".as_ref(), &Default::default())?;
/// db.mark("seeded")?;
/// db.rewind(&"seeded".into(), None)?;
/// # Ok::<(), dbrewind_keeper::Error>(())
/// ```
pub struct KeeperClient {
    path: PathBuf,
    store_path: PathBuf,
    journal: JournalMode,
    timeout: Duration,
    keeper: u32,
    host: u32,
    state: Mutex<State>,
}

enum State {
    Open(Box<Link>),
    /// The keeper has ended: how, and its last words.
    Ended(String, String),
    Closed,
}

impl fmt::Debug for KeeperClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeeperClient").field("path", &self.path).field("keeper", &self.keeper).finish()
    }
}

impl KeeperClient {
    /// Starts a keeper, which opens the existing database at `path` for recording.
    ///
    /// # Errors
    /// `DBR024` when no keeper could be started, `DBR002` when the database is in a rollback mode, and those of
    /// [`Database::open`](dbrewind_sqlite::Database::open). No process is left behind.
    pub fn open(command: &KeeperCommand, path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let mut options = options.clone();
        // The keeper has another working directory.
        let given = path;
        let path = absolute(given)?;
        let name = given.to_string_lossy();
        let url = name.contains("://") || name.starts_with("file:");
        if url && matches!(path.try_exists(), Ok(false)) {
            // A URL would not be known for one there: as a path it is written differently.
            return Err(EngineError::FileMissing { path: given.to_owned() }.into());
        }
        options.store = options.store.as_deref().map(absolute).transpose()?;
        let timeout = options.timeout;
        let mut link = Link::start(command)?;
        let keeper = link.keeper();
        let request = Request::Open { path, options: Box::new(options) };
        match link.ask(&request, timeout.saturating_add(LONG)) {
            Ok(Reply::Opened { path, store_path, journal }) => Ok(Self {
                path,
                store_path,
                journal,
                timeout,
                keeper,
                host: std::process::id(),
                state: Mutex::new(State::Open(Box::new(link))),
            }),
            Ok(_) => Err(link.unexpected()),
            Err(error) => {
                // With a refusal the keeper is well, and leaves when asked.
                if matches!(error, Error::Refused(_)) {
                    let _ = link.ask(&Request::Close, SHORT);
                }
                link.end();
                Err(error)
            }
        }
    }

    /// The database file, an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store's folder.
    #[must_use]
    pub fn store_path(&self) -> &Path {
        &self.store_path
    }

    /// The journal mode it is recorded in.
    #[must_use]
    pub fn journal(&self) -> JournalMode {
        self.journal
    }

    /// The keeper's process id.
    #[must_use]
    pub fn keeper(&self) -> u32 {
        self.keeper
    }

    /// Names the newest commit.
    ///
    /// # Errors
    /// `DBR023` when the name exists; nothing is appended then.
    pub fn mark(&self, name: &str) -> Result<Mark, Error> {
        self.set_mark(name, false)
    }

    /// Names the newest commit, and keeps everything from there on from being evicted until the mark is dropped.
    ///
    /// # Errors
    /// As [`mark`](Self::mark).
    pub fn mark_pinned(&self, name: &str) -> Result<Mark, Error> {
        self.set_mark(name, true)
    }

    fn set_mark(&self, name: &str, pinned: bool) -> Result<Mark, Error> {
        let request = Request::Mark { name: name.to_owned(), pinned };
        match self.ask(&request, self.timeout.saturating_add(SHORT))? {
            Reply::Mark(mark) => Ok(mark),
            _ => Err(self.unexpected()),
        }
    }

    /// How far back the history reaches, what the store takes, and how its marks do.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn status(&self) -> Result<Status, Error> {
        match self.ask(&Request::Status, self.timeout.saturating_add(SHORT))? {
            Reply::Status(status) => Ok(status),
            _ => Err(self.unexpected()),
        }
    }

    /// All marks, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        match self.ask(&Request::Marks, self.timeout.saturating_add(SHORT))? {
            Reply::Marks(marks) => Ok(marks),
            _ => Err(self.unexpected()),
        }
    }

    /// Forgets a mark's name.
    ///
    /// # Errors
    /// `DBR003` when there is none of that name.
    pub fn drop_mark(&self, name: &str) -> Result<(), Error> {
        let request = Request::DropMark { name: name.to_owned() };
        self.ask(&request, self.timeout.saturating_add(SHORT)).map(drop)
    }

    /// Makes the database what it was at the target. `options`: a timeout instead of the one it was opened with, or
    /// [`RewindOptions`].
    ///
    /// # Errors
    /// `DBR003` no such target, `DBR011` the target was lost, `DBR027` a time before everything that can be reached, `DBR004`
    /// somebody holds a lock longer than the timeout: the database is as it was. After `DBR024` it is in its old or in the target's state.
    pub fn rewind(&self, to: &Target, options: impl Into<RewindOptions>) -> Result<Rewound, Error> {
        let options = options.into();
        let limit = options.timeout.unwrap_or(self.timeout).saturating_add(LONG);
        match self.ask(&Request::Rewind { to: to.clone(), options }, limit)? {
            Reply::Rewound(rewound) => Ok(rewound),
            _ => Err(self.unexpected()),
        }
    }

    /// Whether anything was committed since the target's state.
    ///
    /// # Errors
    /// `DBR003` no such target.
    pub fn dirty_since(&self, to: &Target) -> Result<bool, Error> {
        match self.ask(&Request::DirtySince { to: to.clone() }, self.timeout.saturating_add(SHORT))? {
            Reply::Flag(dirty) => Ok(dirty),
            _ => Err(self.unexpected()),
        }
    }

    /// Where the database stands, if its state is that of the target. See
    /// [`Database::position_at`](dbrewind_sqlite::Database::position_at).
    ///
    /// # Errors
    /// `DBR003` no such target.
    pub fn position_at(&self, to: &Target) -> Result<Option<Position>, Error> {
        match self.ask(&Request::PositionAt { to: to.clone() }, self.timeout.saturating_add(SHORT))? {
            Reply::Position(position) => Ok(position),
            _ => Err(self.unexpected()),
        }
    }

    /// Who has written since the target's state, as far as that is known. See
    /// [`Database::writers`](dbrewind_sqlite::Database::writers).
    ///
    /// # Errors
    /// `DBR003` no such target.
    pub fn writers(&self, since: &Target) -> Result<Vec<Writer>, Error> {
        match self.ask(&Request::Writers { since: since.clone() }, self.timeout.saturating_add(SHORT))? {
            Reply::Writers(writers) => Ok(writers),
            _ => Err(self.unexpected()),
        }
    }

    /// Remember who has the database open when commits are copied, or no longer. See
    /// [`Database::remember_connected`](dbrewind_sqlite::Database::remember_connected).
    ///
    /// # Errors
    /// When the recording is closed.
    pub fn remember_connected(&self, on: bool) -> Result<(), Error> {
        self.ask(&Request::RememberConnected { on }, self.timeout.saturating_add(SHORT)).map(drop)
    }

    /// Whether it certainly still stands there. See [`Database::is_at`](dbrewind_sqlite::Database::is_at).
    ///
    /// # Errors
    /// When the recording is closed or was interrupted.
    pub fn is_at(&self, position: Position) -> Result<bool, Error> {
        self.is_still(position, false)
    }

    /// The same, and nobody is in a transaction. See [`Database::rests_at`](dbrewind_sqlite::Database::rests_at).
    ///
    /// # Errors
    /// When the recording is closed or was interrupted; `DBR015` when the store is no longer in its place.
    pub fn rests_at(&self, position: Position) -> Result<bool, Error> {
        self.is_still(position, true)
    }

    fn is_still(&self, position: Position, at_rest: bool) -> Result<bool, Error> {
        match self.ask(&Request::IsAt { position, at_rest }, self.timeout.saturating_add(SHORT))? {
            Reply::Flag(still) => Ok(still),
            _ => Err(self.unexpected()),
        }
    }

    /// Copies the database as it was at the target into a new file. See [`Database::clone_to`](dbrewind_sqlite::Database::clone_to).
    ///
    /// # Errors
    /// `DBR022` when there is a file at the path, `DBR003`, `DBR011` no such target. Nothing is left at the path.
    pub fn clone_to(&self, to: &Target, path: &Path) -> Result<(), Error> {
        // The keeper has another working directory.
        let request = Request::CloneTo { to: to.clone(), path: absolute(path)? };
        self.ask(&request, self.timeout.saturating_add(LONG)).map(drop)
    }

    /// Which rows, and which parts of the schema, differ between two moments; `to`: `None` for the present one. See
    /// [`Database::diff`](dbrewind_sqlite::Database::diff).
    ///
    /// # Errors
    /// `DBR003`, `DBR011` no such target. `DBR021` when the rows that differ are too many for one answer: five million by their
    /// rowids.
    pub fn diff(&self, from: &Target, to: Option<&Target>) -> Result<Diff, Error> {
        let request = Request::Diff { from: from.clone(), to: to.cloned() };
        match self.ask(&request, self.timeout.saturating_add(LONG))? {
            Reply::Diff(diff) => Ok(diff),
            _ => Err(self.unexpected()),
        }
    }

    /// The moment of the newest commit or rewind.
    ///
    /// # Errors
    /// When the recording is closed or was interrupted.
    pub fn now(&self) -> Result<Lsn, Error> {
        match self.ask(&Request::Now, self.timeout.saturating_add(SHORT))? {
            Reply::Lsn(lsn) => Ok(lsn),
            _ => Err(self.unexpected()),
        }
    }

    /// A hash over the present content. Reads the whole database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn digest(&self) -> Result<[u8; 16], Error> {
        match self.ask(&Request::Digest, self.timeout.saturating_add(LONG))? {
            Reply::Digest(digest) => Ok(digest),
            _ => Err(self.unexpected()),
        }
    }

    /// Waits until every commit up to now is in the store.
    ///
    /// # Errors
    /// When the store cannot take them.
    pub fn drain(&self) -> Result<(), Error> {
        self.ask(&Request::Drain, self.timeout.saturating_add(LONG)).map(drop)
    }

    /// Stops recording and ends the keeper. Marks survive if nobody writes to the database until it is opened
    /// again. Closing again does nothing.
    ///
    /// # Errors
    /// When the last commits could not be recorded, or the keeper had ended before. The handle is closed even so.
    pub fn close(&self) -> Result<(), Error> {
        match std::mem::replace(&mut *self.locked()?, State::Closed) {
            State::Open(mut link) => {
                let result = link.ask(&Request::Close, self.timeout.saturating_add(LONG)).map(drop);
                link.end();
                result
            }
            State::Ended(..) | State::Closed => Ok(()),
        }
    }

    fn ask(&self, request: &Request, limit: Duration) -> Result<Reply, Error> {
        let mut state = self.locked()?;
        let link = match &mut *state {
            State::Open(link) => link,
            State::Ended(status, words) => {
                let (status, words) = (status.clone(), words.clone());
                return Err(Failure::Ended { pid: self.keeper, status, words }.into());
            }
            State::Closed => return Err(EngineError::Closed.into()),
        };
        let result = link.ask(request, limit);
        if let Err(Error::Failed(Failure::Ended { status, words, .. })) = &result {
            *state = State::Ended(status.clone(), words.clone());
        }
        result
    }

    /// The state, for this thread alone. In a forked child it is not even looked at: another thread of the parent
    /// may have held it at the fork.
    fn locked(&self) -> Result<MutexGuard<'_, State>, Error> {
        if std::process::id() != self.host {
            return Err(EngineError::Forked.into());
        }
        // A panic between two requests leaves nothing half done: ids tell late responses.
        Ok(lock_patiently(&self.state).map_err(EngineError::from)?)
    }

    fn unexpected(&self) -> Error {
        link::unexpected(self.keeper)
    }
}

impl Drop for KeeperClient {
    fn drop(&mut self) {
        // In a forked child this answers an error and sends nothing.
        let _ = self.close();
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| {
        EngineError::Io { action: "find the folder of", path: path.to_owned(), source }.into()
    })
}
