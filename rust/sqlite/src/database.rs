//! One recorded database: the facade over both engines.

mod marks;
mod past;
mod position;
mod writers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dbrewind_core::{Code, LockError, Lsn, RewindOptions, Status, Target, WindowState};

use crate::as_of::Origin;
use crate::engine::{Change, Engine, JournalMode, SharedHistory, locked};
use crate::error::{Error, Without};
use crate::ffi::SqliteApi;
use crate::naming::is_there;
use crate::opening::{self, Whose};
use crate::options::OpenOptions;
use crate::other_names::told_of_other_names;
use crate::resolve::{or_earliest, resolve};
use crate::rewound::{Method, Rewound};
use crate::rollback::is_unguarded;
use crate::slot::Slot;
use crate::switch::Context;

pub use position::Position;

/// A database whose changes are recorded for as long as this handle lives.
///
/// Every call may be made from any thread. Dropping the handle closes it, without a place for an error.
///
/// ```
/// use dbrewind_sqlite::{Code, Database, MarkState, OpenOptions, SqliteApi};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.db");
/// # let app = rusqlite::Connection::open(&path)?;
/// # app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE users(id INTEGER PRIMARY KEY, name)")?;
/// # let db = Database::open(SqliteApi::bundled(), &path, &OpenOptions::default())?;
/// let seeded = db.mark("seeded")?;
/// assert!(!db.dirty_since(&seeded.lsn.into())?);
/// app.execute("INSERT INTO users VALUES (7, 'Ann')", [])?;
/// assert!(db.dirty_since(&seeded.lsn.into())?);
///
/// db.rewind(&"seeded".into(), None)?;
/// assert_eq!(db.marks()?[0].state, MarkState::Hot, "a rewind consumes no mark");
/// assert_eq!(db.rewind(&"sedeed".into(), None).unwrap_err().code(), Code::MarkNotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Database {
    path: PathBuf,
    store_path: PathBuf,
    timeout: Duration,
    slot: Arc<Slot>,
    origin: Arc<Origin>,
    /// A call has said that recording has stopped.
    told_of_stop: AtomicBool,
    /// The process that opened it.
    process: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).field("journal", &self.journal()).finish()
    }
}

impl Database {
    /// Opens the existing database at `path` for recording, through the given copy of SQLite.
    ///
    /// A database whose store is full is opened, too: its status can be asked for, its marks can be listed and dropped. Every
    /// call that needs a recording tries to begin one, and answers `DBR010` as long as there is no room; if there was none, so does
    /// [`close`](Self::close).
    ///
    /// # Errors
    /// Among others `DBR012` when there is no file, `DBR013` when it is not a database, `DBR004` when
    /// somebody holds it exclusively for longer than the timeout, `DBR015` when the store is damaged.
    pub fn open(api: SqliteApi, path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        Self::open_as(api, path, options, Whose::Any)
    }

    /// As [`open`](Self::open), for who wants what was recorded before: where that is of another file than the one at `path`
    /// nothing is begun anew.
    ///
    /// # Errors
    /// As [`open`](Self::open). `DBR018` when the file was replaced; what was recorded can be reached if the recorded file comes back.
    pub fn open_recorded(api: SqliteApi, path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        Self::open_as(api, path, options, Whose::SameFile)
    }

    fn open_as(api: SqliteApi, path: &Path, options: &OpenOptions, whose: Whose) -> Result<Self, Error> {
        let slot = Arc::new(Slot::default());
        let opened = opening::open(api, path, options, whose, Slot::hook(&slot))
            .map_err(|error| told_of_other_names(error, path))?;
        let (path, history) = (opened.path, opened.history);
        let context =
            Context { api, path: path.clone(), options: options.clone(), history: Arc::clone(&history) };
        let origin = Origin::new(api, &path, options.timeout, history)?;
        slot.fill(opened.engine, context);
        Ok(Self {
            path,
            store_path: opened.store_path,
            timeout: options.timeout,
            slot,
            origin,
            told_of_stop: AtomicBool::new(false),
            process: std::process::id(),
        })
    }

    /// Runs one call of the engine. Calls of all threads come one after the other.
    fn with<T>(&self, mut run: impl FnMut(&mut dyn Engine) -> Result<T, Error>) -> Result<T, Error> {
        self.check_process()?;
        let result = self.slot.with(&mut run);
        self.note_stop(&result);
        result
    }

    /// The same for a question that the engine which is there can answer, or with "ask the long way".
    fn look<T>(&self, mut run: impl FnMut(&mut dyn Engine) -> Result<T, Error>) -> Result<T, Error> {
        self.check_process()?;
        let result = self.slot.look(&mut run);
        self.note_stop(&result);
        result
    }

    fn note_stop<T>(&self, result: &Result<T, Error>) {
        if let Err(error) = result
            && let Ok(history) = self.history()
        {
            let history = locked(&history);
            let stopped = history.store.broken(history.object) == Some(error.code());
            if stopped || matches!(error, Error::NoRoom { .. }) {
                self.told_of_stop();
            }
        }
    }

    /// A call says that nothing is recorded.
    fn told_of_stop(&self) {
        // Relaxed: nothing else is told by it.
        self.told_of_stop.store(true, Ordering::Relaxed);
    }

    /// What is recorded, until the handle is closed.
    fn history(&self) -> Result<SharedHistory, Error> {
        self.origin.history()
    }

    /// The same, if file and store are where they were: what is told of a history that nobody will find again would mislead.
    fn history_in_place(&self, engine: &mut dyn Engine) -> Result<SharedHistory, Error> {
        engine.check_in_place()?;
        let history = self.history()?;
        locked(&history).store.check_in_place()?;
        Ok(history)
    }

    fn check_process(&self) -> Result<(), Error> {
        if self.process == std::process::id() { Ok(()) } else { Err(Error::Forked) }
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

    /// The journal mode it is recorded in. It changes when the application sets `journal_mode=WAL`.
    #[must_use]
    pub fn journal(&self) -> JournalMode {
        self.slot.journal()
    }

    /// Whether a connection of this process works on the database with `journal_mode` OFF or MEMORY: when it is
    /// killed inside a transaction, the file is torn, as SQLite's manual says, and its marks are lost with it.
    #[must_use]
    pub fn is_unguarded(&self) -> bool {
        is_unguarded(self.origin.file)
    }

    /// How far back the history reaches, what the store takes, and how its marks do. Needs no room.
    ///
    /// # Errors
    /// As [`marks`](Self::marks).
    pub fn status(&self) -> Result<Status, Error> {
        let marks = self.marks()?;
        let waits = self.with(|engine| Ok(engine.waits_for_room()))?;
        let (store, object) = {
            let history = self.history()?;
            let history = locked(&history);
            (history.store.clone(), history.object)
        };
        let mut window = store.window(object, &|name| is_there(&self.store_path, name))?;
        if waits {
            self.told_of_stop();
            if window.state != WindowState::Stopped {
                window.state = WindowState::Full;
            }
        }
        Ok(Status::new(window, marks.iter().map(|mark| mark.state)))
    }

    /// Makes the database what it was at the target. `options`: a timeout instead of the one it was opened with, or
    /// [`RewindOptions`].
    ///
    /// # Errors
    /// `DBR003` no such target, `DBR011` the target was lost, `DBR027` a time before everything that can be reached, `DBR004`
    /// somebody holds a lock longer than the timeout. After any error but [`Error::Late`] the database is as it was. That one comes when the disk or the store
    /// fails after the point at which the rewind took effect, or may have; it says which of the two. If the history can no
    /// longer be told then, recording has stopped, and every later call says so until it is opened anew.
    pub fn rewind(&self, to: &Target, options: impl Into<RewindOptions>) -> Result<Rewound, Error> {
        let started = Instant::now();
        let options = options.into();
        self.following(to, || self.rewind_once(to, options, started)).map_err(Error::of_rewind)
    }

    /// Runs `work`. Once more, when what the target was reached through has been evicted meanwhile, and it is reached through
    /// another moment now.
    fn following<T>(&self, to: &Target, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        self.check_process()?;
        let shared = self.history()?;
        let reached = || {
            let history = locked(&shared);
            let timeline = &history.timeline;
            match to {
                Target::Name(name) => timeline.mark(name).map(|mark| timeline.reached_by(mark.lsn)),
                Target::Lsn(lsn) => Some(timeline.reached_by(*lsn)),
                Target::Time(_) | Target::Ago(_) => None,
            }
        };
        loop {
            let before = reached();
            match work() {
                Err(error) if matches!(error.code(), Code::BeforeWindow | Code::MarkNotFound) => {
                    locked(&shared).catch_up()?;
                    if reached() == before {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    fn rewind_once(&self, to: &Target, options: RewindOptions, started: Instant) -> Result<Rewound, Error> {
        self.with(|engine| {
            let history = self.history()?;
            let found = resolve(&history, engine, to, self.timeout);
            let found = if options.use_earliest { or_earliest(&history, found)? } else { found? };
            let change = if found.present {
                Change { undo: found.lsn, pages: 0, method: Method::Nothing }
            } else {
                let done = engine.rewind(found.lsn, options.timeout.unwrap_or(self.timeout));
                done.map_err(|error| self.not_rewound(error))?
            };
            let (time, position) = {
                let mut history = locked(&history);
                history.catch_up().map_err(|error| Error::from(error).at_target())?;
                let time = history.time_of(found.named).unwrap_or_else(|| history.time());
                let timeline = &history.timeline;
                let lsn = timeline.last();
                // What is not read yet, or committed from now on, has another LSN: it shows when somebody asks whether the database still
                // stands there.
                let is_there = timeline.canonical(lsn) == timeline.canonical(found.lsn);
                (time, is_there.then(|| Position { lsn, mark_changes: timeline.mark_changes() }))
            };
            let seconds = started.elapsed().as_secs_f64();
            let Change { undo, pages, method } = change;
            Ok(Rewound { to: found.named, time, undo, pages, seconds, method, position })
        })
    }

    /// An error that came before anything was changed.
    fn not_rewound(&self, error: Error) -> Error {
        let Ok(history) = self.history() else { return error };
        let (store, object) = {
            let history = locked(&history);
            (history.store.clone(), history.object)
        };
        error.for_want_of_room((&store, object), Without::Rewind(0))
    }

    /// Whether anything was committed since the target's state. Takes the same time for any change.
    ///
    /// # Errors
    /// `DBR003` no such target, `DBR027` a time before everything that can be reached.
    pub fn dirty_since(&self, to: &Target) -> Result<bool, Error> {
        Ok(self.position_at(to)?.is_none())
    }

    /// The moment of the newest commit or rewind.
    ///
    /// # Errors
    /// When the recording is closed or was interrupted.
    pub fn now(&self) -> Result<Lsn, Error> {
        self.with(|engine| engine.now())
    }

    /// Whether the file shows that somebody wrote past the recording, in a rollback mode. Takes no lock and keeps nobody waiting;
    /// `false` means only that it does not show now.
    #[must_use]
    pub fn shows_unrecorded(&self) -> bool {
        self.with(|engine| Ok(engine.shows_unrecorded())).unwrap_or(false)
    }

    /// A hash over the present content: equal content, equal digest, before and after a rewind. Reads the
    /// whole database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn digest(&self) -> Result<[u8; 16], Error> {
        self.with(|engine| {
            engine.check_in_place()?;
            engine.digest(self.timeout)
        })
    }

    /// Waits until every commit up to now is in the store.
    ///
    /// # Errors
    /// When the store cannot take them.
    pub fn drain(&self) -> Result<(), Error> {
        self.with(|engine| engine.drain(self.timeout))
    }

    /// Stops recording. Marks survive if nobody writes to the database until it is opened again. Closing
    /// again does nothing.
    ///
    /// # Errors
    /// When the last commits could not be recorded, unless a call before has said that recording has stopped, or the database
    /// was removed, or another file is in its place. The handle is closed even so.
    pub fn close(&self) -> Result<(), Error> {
        self.check_process()?;
        // While the recording has it open the system tells whether it was only moved away.
        let is_gone = self.path.exists() || self.origin.file.is_removed();
        match self.slot.close(|| self.origin.close(), || self.origin.forget()) {
            // Relaxed: as where it is set.
            Err(Error::Stopped { .. } | Error::NoRoom { .. })
                if self.told_of_stop.load(Ordering::Relaxed) =>
            {
                Ok(())
            }
            // Of the file that was recorded there is nothing left to rewind.
            Err(Error::FileReplaced { .. }) if is_gone => Ok(()),
            Err(Error::Lock(LockError::Gone { path })) => Err(Error::ClosedWithoutStore { path }),
            other => other,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.check_process().is_ok() {
            // There is no place for the error; `close` has one.
            let _ = self.close();
        } else {
            // The child of a fork: the parent's locks and threads are not ours to end, and SQLite's mutexes may
            // be held by threads that do not exist here.
            self.slot.leave_to_parent();
        }
    }
}
