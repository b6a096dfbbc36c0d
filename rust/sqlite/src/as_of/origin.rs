//! What the views of one handle have in common, and how an URI finds it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dbrewind_core::{Lsn, WindowHold};

use crate::engine::{SharedHistory, locked};
use crate::error::Error;
use crate::ffi::SqliteApi;
use crate::file::FileId;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// The handle that views come from. It outlives the handle, but not its recording: then nothing is read any more.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) api: SqliteApi,
    pub(crate) path: PathBuf,
    /// The file that was there when the handle was opened.
    pub(crate) file: FileId,
    pub(crate) timeout: Duration,
    pub(crate) history: SharedHistory,
    number: u64,
    /// The moments that [`Database::at`](crate::Database::at) was asked for: only these are served.
    granted: Mutex<HashSet<Lsn>>,
    closed: AtomicBool,
    process: u32,
    /// The newest read that failed, of which SQLite tells no more than an I/O error.
    failed: Mutex<Option<(Lsn, String)>>,
}

/// Those with a granted moment, by number.
static ORIGINS: Mutex<Option<HashMap<u64, Arc<Origin>>>> = Mutex::new(None);

fn origins() -> MutexGuard<'static, Option<HashMap<u64, Arc<Origin>>>> {
    ORIGINS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Origin {
    /// Of a handle that has just been opened.
    pub(crate) fn new(
        api: SqliteApi,
        path: &Path,
        timeout: Duration,
        history: SharedHistory,
    ) -> Result<Arc<Self>, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let file = FileId::of(path).map_err(|source| Error::Io {
            action: "look at",
            path: path.to_owned(),
            source,
        })?;
        Ok(Arc::new(Self {
            api,
            path: path.to_owned(),
            file,
            timeout,
            history,
            // Relaxed: only that the numbers differ matters.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            granted: Mutex::default(),
            closed: AtomicBool::new(false),
            process: std::process::id(),
            failed: Mutex::default(),
        }))
    }

    /// Serves a moment from now on, for as long as the handle records. Answers the number under which it is found.
    pub(crate) fn grant(self: &Arc<Self>, lsn: Lsn) -> u64 {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).insert(lsn);
        origins().get_or_insert_default().insert(self.number, Arc::clone(self));
        self.number
    }

    /// The origin with this number, if it serves the moment.
    pub(crate) fn find(number: u64, lsn: Lsn) -> Option<Arc<Self>> {
        let found = origins().as_ref().and_then(|all| all.get(&number).cloned())?;
        let served = found.granted.lock().unwrap_or_else(PoisonError::into_inner).contains(&lsn);
        served.then_some(found)
    }

    /// Keeps why a read of this moment has failed.
    pub(crate) fn tell(&self, lsn: Lsn, why: &Error) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((lsn, why.to_string()));
    }

    /// Why the newest read that failed did so, if it was of this moment.
    pub(crate) fn told(&self, lsn: Lsn) -> Option<String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(of, _)| *of == lsn).map(|(_, why)| why.clone())
    }

    /// Keeps the store from evicting anything.
    pub(crate) fn hold(&self) -> Result<WindowHold, Error> {
        let store = locked(&self.history).store.clone();
        Ok(store.hold_window()?)
    }

    /// The recording is about to end: nobody will save what is overwritten.
    pub(crate) fn close(&self) {
        // SeqCst: partner of the load in `check`; before the recording ends, which takes system calls.
        self.closed.store(true, Ordering::SeqCst);
        if let Some(all) = origins().as_mut() {
            all.remove(&self.number);
        }
    }

    /// An error when the recording has ended. To be asked after a read of the database file.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.process != std::process::id() {
            return Err(Error::Forked);
        }
        // SeqCst: partner of the store in `close`.
        if self.closed.load(Ordering::SeqCst) { Err(Error::Closed) } else { Ok(()) }
    }
}
