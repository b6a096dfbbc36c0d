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
    /// `None` once the recording has ended: whatever has the store open counts as a recording.
    history: Mutex<Option<SharedHistory>>,
    number: u64,
    /// The moments that [`Database::at`](crate::Database::at) was asked for: only these are served.
    granted: Mutex<HashSet<Lsn>>,
    closed: AtomicBool,
    process: u32,
    /// The newest read that failed, of which SQLite tells no more than an I/O error.
    failed: Mutex<Option<(Lsn, String)>>,
    holds: Mutex<HashMap<u64, WindowHold>>,
}

/// While it is there, and the recording lasts, nothing is evicted.
#[derive(Debug)]
#[must_use = "dropping it lets records be evicted again"]
pub(crate) struct Hold {
    origin: Arc<Origin>,
    number: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.origin.holds.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Of origins and of holds. Relaxed: only that the numbers differ matters.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
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
            history: Mutex::new(Some(history)),
            number: next_number(),
            granted: Mutex::default(),
            closed: AtomicBool::new(false),
            process: std::process::id(),
            failed: Mutex::default(),
            holds: Mutex::default(),
        }))
    }

    /// What is recorded.
    ///
    /// # Errors
    /// When the recording has ended, or is the parent process's.
    pub(crate) fn history(&self) -> Result<SharedHistory, Error> {
        if self.process != std::process::id() {
            return Err(Error::Forked);
        }
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.as_ref().map(Arc::clone).ok_or(Error::Closed)
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
    pub(crate) fn hold(self: &Arc<Self>) -> Result<Hold, Error> {
        let store = locked(&self.history()?).store.clone();
        let held = store.hold_window()?;
        let number = next_number();
        self.holds.lock().unwrap_or_else(PoisonError::into_inner).insert(number, held);
        Ok(Hold { origin: Arc::clone(self), number })
    }

    /// The recording is about to end: nobody will save what is overwritten.
    pub(crate) fn close(&self) {
        // SeqCst: partner of the load in `check`; before the recording ends, which takes system calls.
        self.closed.store(true, Ordering::SeqCst);
        if let Some(all) = origins().as_mut() {
            all.remove(&self.number);
        }
    }

    /// The recording has ended: lets go of the store, whoever still has a moment of it. Who has it open shows as a recording to others.
    pub(crate) fn forget(&self) {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner).take();
        let holds = std::mem::take(&mut *self.holds.lock().unwrap_or_else(PoisonError::into_inner));
        drop((history, holds));
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
