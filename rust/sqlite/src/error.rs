//! What can go wrong with a database's recording. Texts say what happened, why, and what helps.

mod from_core;
mod number;
mod sqlite_code;
#[cfg(test)]
mod tests;
mod wording;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dbrewind_core::{
    AppendError, Code, LockError, Lsn, MarkNameError, ObjectId, OpenError, PlanError, ReadError, Store,
    SyncError, TimelineError, Timestamp,
};

pub use sqlite_code::SqliteCode;
pub(crate) use wording::Without;
use wording::{
    after, did_you_mean, earliest_is, free_the_name, full, held_by, helps, how_to_name, keep_more, no_room,
    or_go_there, or_wait,
};

use crate::ffi::VfsError;
use crate::store_folder::beside;

/// Why an operation failed. Unless a variant says otherwise the database is as it was before the call.
///
/// ```
/// use dbrewind_sqlite::{Code, Database, OpenOptions, SqliteApi};
///
/// # let folder = tempfile::tempdir()?;
/// let nowhere = folder.path().join("app.db");
/// let error = Database::open(SqliteApi::bundled(), &nowhere, &OpenOptions::default()).unwrap_err();
/// assert_eq!(error.code(), Code::FileMissing); // for programs
/// assert!(error.to_string().starts_with("there is no database at")); // for people: what, why, what to do
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something wrote to the database past the recording.
    #[error(
        "the database was changed without being recorded: {what}; open the recording before anybody connects; start other \
         programs with `dbrewind run`, or give their SQLite the extension and their URI ?vfs=dbrewind; or use WAL mode, in \
         which anybody may write. `dbrewind doctor` tells what is missing"
    )]
    NotAttached {
        /// How it shows.
        what: String,
    },
    /// This SQLite cannot be reached.
    #[error(
        "{what}; there are three ways: open it with journal=\"wal\"; use a program, or a Python, whose SQLite is a shared \
         library; or load dbrewind's extension into the SQLite that writes, and record the database from another process"
    )]
    Unreachable {
        /// What is missing.
        what: String,
    },
    /// No mark has this name.
    #[error("there is no mark named {name:?}{}", did_you_mean(name, nearest.as_deref(), existing))]
    MarkNotFound {
        /// The name that was asked for.
        name: String,
        /// The existing name that is most like it.
        nearest: Option<String>,
        /// All existing names, the newest first.
        existing: Box<[String]>,
    },
    /// No recorded moment has this LSN.
    #[error("LSN {lsn} is not a moment of this database; use one that a mark, a rewind or now() gave")]
    NoSuchMoment {
        /// The LSN that was asked for.
        lsn: Lsn,
    },
    /// The name is taken.
    #[error("there is already a mark named {name:?}{}", free_the_name(name, *lost))]
    MarkExists {
        /// The name.
        name: String,
        /// It can no longer be reached: lost, or evicted.
        lost: bool,
    },
    /// The text cannot name a mark.
    #[error("{0}; choose another name")]
    MarkName(#[from] MarkNameError),
    /// Recording was interrupted after this moment.
    #[error(
        "{what} can no longer be reached: recording began anew at {}, and what may have been written unrecorded before \
         that (while nothing recorded, after a kill, past a recording that had stopped) is not known; set a new mark",
        since.rfc3339()
    )]
    MarkLost {
        /// The mark or LSN.
        what: String,
        /// When recording began again.
        since: Timestamp,
    },
    /// The history does not go back so far.
    #[error(
        "{what} is before {}, {}; give that time or a later one{}{}",
        earliest.rfc3339(),
        earliest_is(*begins),
        or_go_there(*rewinding),
        keep_more(*begins)
    )]
    BeforeWindow {
        /// What was asked for.
        what: String,
        /// The time of the earliest moment.
        earliest: Timestamp,
        /// Nothing was evicted: that is when recording began, or began anew.
        begins: bool,
        /// It was asked for in order to go there, which [`RewindOptions`](crate::RewindOptions) can do.
        rewinding: bool,
    },
    /// The database is open elsewhere, and must not be.
    #[error(
        "{what}; all must be closed for this{}{}; close it there{}",
        held_by(holder.as_deref()),
        after(*waited),
        or_wait(*waited)
    )]
    InUse {
        /// What cannot be done, and what is in the way.
        what: String,
        /// Who has it open, where the system tells.
        holder: Option<Box<str>>,
        /// How long was waited. Zero: not at all.
        waited: Duration,
    },
    /// Somebody else holds a lock.
    #[error(
        "{what}{}{}; end that transaction (commit it, roll it back, or close a cursor that was not read to its end){}",
        held_by(holder.as_deref()),
        after(*waited),
        or_wait(*waited)
    )]
    Busy {
        /// Which lock, in words.
        what: String,
        /// Who holds it, where the system tells.
        holder: Option<String>,
        /// How long was waited. Zero: not at all, or SQLite does not tell, or no wait would help.
        waited: Duration,
    },
    /// The caller [asked](crate::interruptible) to end the wait.
    #[error("interrupted while waiting for somebody else; nothing was changed")]
    Interrupted,
    /// There is no database at the path.
    #[error("there is no database at {}; {}", path.display(), how_to_name(path))]
    FileMissing {
        /// The path.
        path: PathBuf,
    },
    /// There is no folder in which a copy could be.
    #[error("there is no folder {} for the copy; create it first, or give the copy another path", path.display())]
    FolderMissing {
        /// The folder.
        path: PathBuf,
    },
    /// The database was renamed, and its store was not.
    #[error(
        "{} was recorded under another name, and its history is still in {}; rename that folder to {} to go on, or \
         remove it to begin anew",
        path.display(), store.display(), beside(path).display()
    )]
    StoreLeftBehind {
        /// The database.
        path: PathBuf,
        /// Where its store is.
        store: PathBuf,
    },
    /// The file does not begin as an SQLite database does.
    #[error("{} is not an SQLite database: {what}; check the path", path.display())]
    NotADatabase {
        /// The path.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The database cannot be read and written.
    #[error(
        "{} cannot be read and written by this user; check owner, mode and mount of the file",
        path.display()
    )]
    NotWritable {
        /// The path.
        path: PathBuf,
    },
    /// At the path is now another file.
    #[error("{} is not the file that was opened: it was replaced or removed; open the recording again", path.display())]
    FileReplaced {
        /// The path.
        path: PathBuf,
    },
    /// What was recorded is of another file than the one at the path.
    #[error(
        "{} is not the file that was recorded: it was replaced; put that file back to reach its marks, or set a mark to \
         begin anew with this one",
        path.display()
    )]
    AnotherFile {
        /// The path.
        path: PathBuf,
    },
    /// This process was started by `dbrewind run`, which has it record what it writes in a rollback mode.
    #[error(
        "this process records what it writes to {} already, since `dbrewind run` started it, and would record it twice; start it \
         without `dbrewind run`, or use journal=\"wal\"",
        path.display()
    )]
    RecordedTwice {
        /// The path.
        path: PathBuf,
    },
    /// Several copies of SQLite are in the process, and somebody has the file open who may belong to another one than the
    /// recorded one. Which copy a descriptor belongs to, nobody can tell from outside.
    #[error(
        "somebody in this process has the database open past the recording, and several copies of SQLite are loaded \
         ({copies}). Either it is a connection that was opened before the recording: close it, and open it again \
         afterwards. Or it is a connection of another copy: two copies drop each other's file locks, so use one \
         copy only for this database"
    )]
    TwoSqlites {
        /// The objects they are in.
        copies: String,
    },
    /// This kind of database, or of change, cannot be recorded.
    #[error("{what}")]
    Unsupported {
        /// What it is, why not, and what helps.
        what: String,
    },
    /// An argument is not valid.
    #[error("{what}")]
    Invalid {
        /// Which one, and what would be.
        what: String,
    },
    /// The handle was closed before.
    #[error("this recording is closed; open a new one")]
    Closed,
    /// The process was forked since the handle was opened.
    #[error("this process is a fork of the one that opened the recording; open one of its own here")]
    Forked,
    /// Recording has stopped, for the reason of the code.
    #[error("recording has stopped: {why}")]
    Stopped {
        /// The reason.
        code: Code,
        /// The reason in words, and what helps.
        why: String,
    },
    /// Recording has not begun, or a rewind was not, since the store has no room. What is recorded already is as it was.
    #[error("{why}")]
    NoRoom {
        /// What was refused, where, and what helps.
        why: String,
    },
    /// The handle is closed, and its store was gone before.
    #[error(
        "the recording is closed, but the store in {} was removed or renamed while it was in use, so its marks are gone, and \
         what was committed last is not recorded; open a new one, which begins without marks",
        path.display()
    )]
    ClosedWithoutStore {
        /// The store's folder.
        path: PathBuf,
    },
    /// SQLite, or its VFS, refused.
    #[error("cannot {action}: {source}{}", source.help())]
    Sqlite {
        /// What was tried, a verb and its object.
        action: &'static str,
        /// SQLite's answer.
        source: SqliteCode,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), helps(source))]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// The database could not be read when it was opened, and its file has several names.
    #[error(
        "{source}. {} is one of {names} names of its file (hard links), and is perhaps open by another one: SQLite has a WAL for \
         each name, so two at once damage the database; open it by one name, the same one everywhere",
        path.display()
    )]
    OtherNames {
        /// The path.
        path: PathBuf,
        /// How many names the file has.
        names: u64,
        /// What failed.
        source: Box<Error>,
    },
    /// A rewind failed after the point at which it took effect, or may have. Everything else that fails in a rewind leaves
    /// the database as it was.
    #[error("{source}; {outcome}")]
    Late {
        /// What holds for the database now, a sentence.
        outcome: &'static str,
        /// What failed.
        source: Box<Error>,
    },
    /// The `-wal` file or its index holds what SQLite never writes.
    #[error("the WAL of the database is not as SQLite writes it: {what}; let SQLite open it and check it")]
    WalDamaged {
        /// What was found.
        what: String,
    },
    /// The store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record could not be appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A record could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The object's lock was not taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store could not be made durable.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The history could not be read. Nothing was changed.
    #[error(transparent)]
    History(#[from] TimelineError),
    /// The target is too far away. Nothing was changed.
    #[error(transparent)]
    Plan(PlanError),
    /// A defect.
    #[error("a defect in dbrewind: {what}; please report this text")]
    Internal {
        /// What was found.
        what: String,
    },
}

impl Error {
    /// For `map_err`: a VFS's answer to this action. A lock held by somebody is `Busy` without a wait.
    pub(crate) fn vfs(action: &'static str) -> impl FnOnce(VfsError) -> Self {
        move |error| match error {
            VfsError::Busy => Self::in_use(action),
            VfsError::Interrupted => Self::Interrupted,
            VfsError::ShortRead => {
                Self::Sqlite { action, source: SqliteCode(crate::ffi::types::SQLITE_IOERR_SHORT_READ) }
            }
            VfsError::Code(code) => Self::sqlite(action)(code),
        }
    }

    /// For `map_err`: a result code of SQLite as answer to this action.
    pub(crate) fn sqlite(action: &'static str) -> impl FnOnce(i32) -> Self {
        move |code| match code & 0xff {
            5 | 6 => Self::in_use(action),
            crate::ffi::types::SQLITE_INTERRUPT => Self::Interrupted,
            _ => Self::Sqlite { action, source: SqliteCode(code) },
        }
    }

    fn in_use(action: &str) -> Self {
        let what = format!("cannot {action}, since another connection is in a transaction");
        Self::Busy { what, holder: None, waited: Duration::ZERO }
    }

    /// For `map_err`: a rewind was asked for, which can go to the earliest moment instead.
    pub(crate) fn of_rewind(mut self) -> Self {
        if let Self::BeforeWindow { rewinding, .. } = &mut self {
            *rewinding = true;
        }
        self
    }

    /// For `map_err`: what failed after a rewind that took effect.
    pub(crate) fn at_target(self) -> Self {
        Self::Late {
            outcome: "the rewind took effect before: the database is at the target",
            source: self.into(),
        }
    }

    /// For `map_err`: what failed while a rewind took effect.
    pub(crate) fn at_either(self) -> Self {
        let outcome =
            "the database is at the target or as it was, nothing in between; the next call finds out which";
        Self::Late { outcome, source: self.into() }
    }

    /// Recording into this store has stopped.
    pub(crate) fn stopped(store: &Store, code: Code) -> Self {
        let why = if code == Code::StoreFull {
            full(store.dir(), store.room(), &store.pins())
        } else {
            format!("{}; {}", code.title(), code.explanation())
        };
        Self::Stopped { code, why }
    }

    /// There is no room in this store for what would have to be recorded.
    pub(crate) fn no_room(store: &Store, without: Without) -> Self {
        Self::NoRoom { why: no_room(store.dir(), store.room(), &store.pins(), without) }
    }

    /// What is to be said of this object's store where there was no room for a record, and nothing was done for that. Other errors stay.
    pub(crate) fn for_want_of_room(self, (store, object): (&Store, ObjectId), without: Without) -> Self {
        match store.broken(object) {
            _ if !self.is_full() => self,
            Some(code) => Self::stopped(store, code),
            None => Self::no_room(store, without),
        }
    }

    /// Whether there was no room for a record.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Append(AppendError::Full { .. }))
    }

    /// A defect, with what was found.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::Internal { what: what.into() }
    }
}
