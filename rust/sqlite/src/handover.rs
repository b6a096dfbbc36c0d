//! What one engine gives the other when the database is switched to WAL mode, so that neither has to know the other.

use std::path::Path;
use std::sync::Arc;

use dbrewind_core::{HolderLock, ObjectId, Store};

use crate::ffi::{HostFile, HostVfs, LockLevel};

/// A handle on a database that has just been switched to WAL mode. As long as it lives nobody can bring a
/// frame into the database file: that holds the state of the last recorded commit.
#[derive(Debug)]
pub(crate) struct Handover {
    /// SHARED on the database (once [`Handover::complete`] said so) and on READ4, whose mark is 0.
    pub(crate) file: HostFile,
    /// Other recording processes wait for us.
    pub(crate) role: HolderLock,
}

impl Handover {
    /// Second half, when the switching connection has gone down to SHARED, which it still has.
    pub(crate) fn complete(&mut self) -> bool {
        self.file.lock(LockLevel::Shared).is_ok()
    }
}

/// First half, while the switching connection still has EXCLUSIVE on the database at this path. The number: the change
/// counter of the recorded commit. `None`: what is there is not certain.
pub(crate) type Prepare = fn(HostVfs, &Path, (&Store, ObjectId), u32) -> Option<Handover>;

/// What a recording in the rollback modes does at a switch to WAL mode.
#[derive(Clone)]
pub(crate) struct Hook {
    /// Makes the handover.
    pub(crate) prepare: Prepare,
    /// Called, from within a callback of SQLite's, when there is one.
    run: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Hook {
    /// `run` must return soon, and take no lock of the database.
    pub(crate) fn new(prepare: Prepare, run: impl Fn() + Send + Sync + 'static) -> Self {
        Self { prepare, run: Some(Arc::new(run)) }
    }

    /// The handover waits for the next call.
    pub(crate) fn silent(prepare: Prepare) -> Self {
        Self { prepare, run: None }
    }

    /// There is a handover.
    pub(crate) fn run(&self) {
        if let Some(run) = &self.run {
            run();
        }
    }
}
