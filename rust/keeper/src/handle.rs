use std::path::Path;

use dbrewind_sqlite::{
    At, Database, Diff, Error as EngineError, JournalMode, Lsn, Mark, OpenOptions, Position, RewindOptions,
    Rewound, SqliteApi, Status, Target, Writer,
};

use crate::client::{KeeperClient, KeeperCommand};
use crate::copies;
use crate::error::Error;

/// Where the engine shall run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Choice {
    /// In this process if its SQLite is reached and is the only copy, else in a keeper.
    #[default]
    Auto,
    /// In this process.
    Inside,
    /// In a keeper.
    Keeper,
}

/// A recorded database, wherever the engine runs. The methods are those of [`Database`].
///
/// ```no_run
/// use dbrewind_keeper::{Choice, Handle, KeeperCommand};
///
/// let command = KeeperCommand::new("dbrewind-keeper");
/// let hidden = Err("this program's SQLite has no symbols".to_owned());
/// let db = Handle::open(Choice::Auto, hidden, &command, "app.db".as_ref(), &Default::default())?;
/// db.mark("seeded")?;
/// db.rewind(&"seeded".into(), None)?;
/// # Ok::<(), dbrewind_keeper::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Handle {
    /// The engine runs in this process.
    Inside(Database),
    /// The engine runs in a keeper.
    Keeper(KeeperClient),
}

/// Passes a call on to whichever it is.
macro_rules! pass {
    ($self:ident, $handle:ident => $call:expr) => {
        match $self {
            Self::Inside($handle) => Ok($call?),
            Self::Keeper($handle) => $call,
        }
    };
}

impl Handle {
    /// Opens the existing database at `path` for recording.
    ///
    /// * `api`: the SQLite that the application uses, as [`SqliteApi::from_library`] found it, or in words why it
    ///   was not reached.
    /// * `command`: how to start a keeper.
    ///
    /// # Errors
    /// `DBR002` when the engine cannot run in this process and the database is in a rollback mode, or the choice is
    /// [`Choice::Inside`]; `DBR017` when the choice is `Inside` and there is another copy of SQLite; `DBR024` when the
    /// keeper cannot be started; and those of [`Database::open`].
    pub fn open(
        choice: Choice,
        api: Result<SqliteApi, String>,
        command: &KeeperCommand,
        path: &Path,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        dbrewind_sqlite::refuse_without_file(path)?;
        let keeper = || KeeperClient::open(command, path, options).map(Self::Keeper);
        match (choice, api) {
            (Choice::Keeper, _) | (Choice::Auto, Err(_)) => keeper(),
            (Choice::Inside, Err(why)) => Err(Error::Unreachable { what: why }),
            (Choice::Auto, Ok(api)) => match copies::others(Some(&api)) {
                Ok(others) if others.is_empty() => Ok(Self::Inside(Database::open(api, path, options)?)),
                // Also when the system does not tell: the keeper is right either way.
                Ok(_) | Err(_) => keeper(),
            },
            (Choice::Inside, Ok(api)) => {
                let others = copies::others(Some(&api)).unwrap_or_default();
                if others.is_empty() {
                    return Ok(Self::Inside(Database::open(api, path, options)?));
                }
                let others: Vec<_> = others.iter().map(|copy| copy.path.display().to_string()).collect();
                Err(Error::TwoSqlites { others: others.join(", ") })
            }
        }
    }

    /// Where the engine runs: never [`Choice::Auto`].
    #[must_use]
    pub fn engine(&self) -> Choice {
        match self {
            Self::Inside(_) => Choice::Inside,
            Self::Keeper(_) => Choice::Keeper,
        }
    }

    /// The database file, an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Inside(database) => database.path(),
            Self::Keeper(client) => client.path(),
        }
    }

    /// The store's folder.
    #[must_use]
    pub fn store_path(&self) -> &Path {
        match self {
            Self::Inside(database) => database.store_path(),
            Self::Keeper(client) => client.store_path(),
        }
    }

    /// The journal mode it is recorded in.
    #[must_use]
    pub fn journal(&self) -> JournalMode {
        match self {
            Self::Inside(database) => database.journal(),
            Self::Keeper(client) => client.journal(),
        }
    }

    /// Whether a connection of this process works on the database with `journal_mode` OFF or MEMORY.
    #[must_use]
    pub fn is_unguarded(&self) -> bool {
        match self {
            Self::Inside(database) => database.is_unguarded(),
            // It serves WAL mode alone.
            Self::Keeper(_) => false,
        }
    }

    /// Names the newest commit.
    ///
    /// # Errors
    /// `DBR023` when the name exists; nothing is appended then.
    pub fn mark(&self, name: &str) -> Result<Mark, Error> {
        pass!(self, handle => handle.mark(name))
    }

    /// Names the newest commit, and keeps everything from there on from being evicted until the mark is dropped.
    ///
    /// # Errors
    /// As [`mark`](Self::mark).
    pub fn mark_pinned(&self, name: &str) -> Result<Mark, Error> {
        pass!(self, handle => handle.mark_pinned(name))
    }

    /// How far back the history reaches, what the store takes, and how its marks do.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn status(&self) -> Result<Status, Error> {
        pass!(self, handle => handle.status())
    }

    /// All marks, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        pass!(self, handle => handle.marks())
    }

    /// Forgets a mark's name.
    ///
    /// # Errors
    /// `DBR003` when there is none of that name.
    pub fn drop_mark(&self, name: &str) -> Result<(), Error> {
        pass!(self, handle => handle.drop_mark(name))
    }

    /// Makes the database what it was at the target. `options`: a timeout instead of the one it was opened with, or
    /// [`RewindOptions`].
    ///
    /// # Errors
    /// `DBR003` no such target, `DBR011` the target was lost, `DBR027` a time before everything that can be reached, `DBR004`
    /// somebody holds a lock longer than the timeout: the database is as it was. After `DBR024` it is in its old or in the target's state.
    pub fn rewind(&self, to: &Target, options: impl Into<RewindOptions>) -> Result<Rewound, Error> {
        pass!(self, handle => handle.rewind(to, options))
    }

    /// Where the database stands, if its state is that of the target.
    ///
    /// # Errors
    /// As [`Database::position_at`].
    pub fn position_at(&self, to: &Target) -> Result<Option<Position>, Error> {
        pass!(self, handle => handle.position_at(to))
    }

    /// Whether it certainly still stands there.
    ///
    /// # Errors
    /// As [`Database::is_at`].
    pub fn is_at(&self, position: Position) -> Result<bool, Error> {
        pass!(self, handle => handle.is_at(position))
    }

    /// Whether it certainly still stands there, as far as that shows without a lock; in a keeper never. See
    /// [`Database::glance`].
    #[must_use]
    pub fn glance(&self, position: Position) -> bool {
        match self {
            Self::Inside(handle) => handle.glance(position),
            Self::Keeper(_) => false,
        }
    }

    /// The same, and nobody is in a transaction.
    ///
    /// # Errors
    /// As [`Database::rests_at`].
    pub fn rests_at(&self, position: Position) -> Result<bool, Error> {
        pass!(self, handle => handle.rests_at(position))
    }

    /// Whether anything was committed since the target's state.
    ///
    /// # Errors
    /// `DBR003` no such target.
    pub fn dirty_since(&self, to: &Target) -> Result<bool, Error> {
        pass!(self, handle => handle.dirty_since(to))
    }

    /// The database as it was at the target, for SQLite connections of this process, beside the live one.
    ///
    /// # Errors
    /// `DBR003`, `DBR011` no such target. `DBR021` when the engine runs in a keeper: the SQLite that would have to read it is
    /// not reached; [`clone_to`](Self::clone_to) works there.
    pub fn at(&self, to: &Target) -> Result<At, Error> {
        match self {
            Self::Inside(database) => Ok(database.at(to)?),
            Self::Keeper(_) => Err(EngineError::Unsupported {
                what: "a past moment is read by the SQLite of this process, which cannot be reached: the engine runs in a \
                       keeper; make a copy of that moment with db.clone(to, path), and open that"
                    .to_owned(),
            }
            .into()),
        }
    }

    /// Copies the database as it was at the target into a new file, while others read and write.
    ///
    /// # Errors
    /// `DBR022` when there is a file at the path, `DBR003`, `DBR011` no such target. Nothing is left at the path.
    pub fn clone_to(&self, to: &Target, path: &Path) -> Result<(), Error> {
        pass!(self, handle => handle.clone_to(to, path))
    }

    /// Which rows, and which parts of the schema, differ between two moments; `to`: `None` for the present one.
    ///
    /// # Errors
    /// `DBR003`, `DBR011` no such target. `DBR021` when the engine runs in a keeper and more rows differ than it can tell.
    pub fn diff(&self, from: &Target, to: Option<&Target>) -> Result<Diff, Error> {
        pass!(self, handle => handle.diff(from, to))
    }

    /// Who has written what is there now and was not at the target, as far as that is known.
    ///
    /// # Errors
    /// As [`Database::writers`].
    pub fn writers(&self, since: &Target) -> Result<Vec<Writer>, Error> {
        pass!(self, handle => handle.writers(since))
    }

    /// Remember who has the database open when commits are copied, for [`writers`](Self::writers), or no longer.
    ///
    /// # Errors
    /// As [`Database::remember_connected`].
    pub fn remember_connected(&self, on: bool) -> Result<(), Error> {
        pass!(self, handle => handle.remember_connected(on))
    }

    /// The moment of the newest commit or rewind.
    ///
    /// # Errors
    /// When the recording is closed or was interrupted.
    pub fn now(&self) -> Result<Lsn, Error> {
        pass!(self, handle => handle.now())
    }

    /// A hash over the present content. Reads the whole database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn digest(&self) -> Result<[u8; 16], Error> {
        pass!(self, handle => handle.digest())
    }

    /// Waits until every commit up to now is in the store.
    ///
    /// # Errors
    /// When the store cannot take them.
    pub fn drain(&self) -> Result<(), Error> {
        pass!(self, handle => handle.drain())
    }

    /// Stops recording. Marks survive if nobody writes to the database until it is opened again. Closing again
    /// does nothing.
    ///
    /// # Errors
    /// When the last commits could not be recorded, or the keeper had ended. The handle is closed even so.
    pub fn close(&self) -> Result<(), Error> {
        pass!(self, handle => handle.close())
    }
}
