//! One recorded database: the facade over both engines.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dbrewind_core::Lsn;

use crate::engine::Engine;
use crate::error::Error;
use crate::ffi::SqliteApi;
use crate::mark::Mark;
use crate::options::OpenOptions;
use crate::rewound::Rewound;
use crate::target::Target;

/// The family of journal modes a database is recorded in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JournalMode {
    /// `WAL`.
    Wal,
    /// `DELETE`, `TRUNCATE`, `PERSIST`, `MEMORY` or `OFF`.
    Rollback,
}

/// A database whose changes are recorded for as long as this handle lives.
///
/// Every call may be made from any thread. Dropping the handle closes it, without a place for an error.
pub struct Database {
    path: PathBuf,
    store_path: PathBuf,
    journal: JournalMode,
    state: Mutex<Option<Box<dyn Engine>>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).field("journal", &self.journal).finish()
    }
}

impl Database {
    /// Opens the existing database at `path` for recording, through the given copy of SQLite.
    ///
    /// # Errors
    /// Among others `DBR012` when there is no file, `DBR013` when it is not a database, `DBR004` when
    /// somebody holds it exclusively for longer than the timeout, `DBR015` when the store is damaged.
    pub fn open(api: SqliteApi, path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let _ = (api, path, options);
        Err(Error::internal("not built yet"))
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

    /// Names the newest commit.
    ///
    /// # Errors
    /// `DBR023` when the name exists; nothing is appended then.
    pub fn mark(&self, name: &str) -> Result<Mark, Error> {
        let _ = name;
        Err(Error::internal("not built yet"))
    }

    /// All marks, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        Err(Error::internal("not built yet"))
    }

    /// Forgets a mark's name.
    ///
    /// # Errors
    /// `DBR003` when there is none of that name.
    pub fn drop_mark(&self, name: &str) -> Result<(), Error> {
        let _ = name;
        Err(Error::internal("not built yet"))
    }

    /// Makes the database what it was at the target. `timeout`: instead of the one in the options.
    ///
    /// # Errors
    /// `DBR003` no such target, `DBR011` the target was lost, `DBR004` somebody holds a lock longer than the
    /// timeout. After any error the database is as it was.
    pub fn rewind(&self, to: &Target, timeout: Option<Duration>) -> Result<Rewound, Error> {
        let _ = (to, timeout);
        Err(Error::internal("not built yet"))
    }

    /// Whether anything was committed since the target's state. Takes the same time for any change.
    ///
    /// # Errors
    /// `DBR003` no such target.
    pub fn dirty_since(&self, to: &Target) -> Result<bool, Error> {
        let _ = to;
        Err(Error::internal("not built yet"))
    }

    /// The moment of the newest commit or rewind.
    ///
    /// # Errors
    /// When the recording is closed or was interrupted.
    pub fn now(&self) -> Result<Lsn, Error> {
        Err(Error::internal("not built yet"))
    }

    /// A hash over the present content: equal content, equal digest, before and after a rewind. Reads the
    /// whole database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn digest(&self) -> Result<[u8; 16], Error> {
        Err(Error::internal("not built yet"))
    }

    /// Waits until every commit up to now is in the store.
    ///
    /// # Errors
    /// When the store cannot take them.
    pub fn drain(&self) -> Result<(), Error> {
        Err(Error::internal("not built yet"))
    }

    /// Stops recording. Marks survive if nobody writes to the database until it is opened again. Closing
    /// again does nothing.
    ///
    /// # Errors
    /// When the last commits could not be recorded. The handle is closed even so.
    pub fn close(&self) -> Result<(), Error> {
        let engine = self.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        engine.map_or(Ok(()), |mut engine| engine.close())
    }
}
