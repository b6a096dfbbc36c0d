//! Whether everything that was written to the database file up to now is in the log: the two engines' answers.

use std::sync::Arc;

use dbrewind_core::Engine;

use super::Origin;
use crate::engine::locked;
use crate::error::Error;
use crate::ffi::HostFile;
use crate::rollback::{Bystander, Seen};
use crate::wal::Beside;

/// Asked before and after each read of the file. Keeps what that needs.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// WAL, while another process has the freeze.
    beside: Option<Beside>,
}

impl Trust {
    /// Before a read.
    pub(super) fn begin(
        &mut self,
        engine: Option<Engine>,
        origin: &Arc<Origin>,
        file: &mut HostFile,
    ) -> Result<(), Error> {
        let exclusion = Arc::clone(&locked(&origin.history()?).exclusion);
        if engine != Some(Engine::Wal) || exclusion.is_frozen() {
            return Ok(());
        }
        let mut beside = match self.beside.take() {
            Some(beside) => beside,
            None => Beside::open(file, &origin.path)?,
        };
        let locked = beside.lock(file);
        self.beside = Some(beside);
        locked
    }

    /// After it: `false`, ask again later.
    ///
    /// # Errors
    /// `DBR001`: somebody wrote whom nobody records.
    pub(super) fn end(
        &mut self,
        engine: Option<Engine>,
        origin: &Arc<Origin>,
        file: &mut HostFile,
    ) -> Result<bool, Error> {
        let shared = origin.history()?;
        let (store, object, exclusion) = {
            let history = locked(&shared);
            (history.store.clone(), history.object, Arc::clone(&history.exclusion))
        };
        match engine {
            Some(Engine::Wal) => {
                let frozen = exclusion.is_frozen();
                match &mut self.beside {
                    Some(beside) => Ok(beside.unlock(file, &shared)? || frozen),
                    None => Ok(frozen),
                }
            }
            Some(Engine::Rollback) => {
                let path = origin.path.as_path();
                let by = Bystander { store: &store, object, id: origin.file, path, exclusion: &exclusion };
                let seen = by.look(file)?;
                if let Some(code) = store.broken(object) {
                    return Err(Error::stopped(&store, code));
                }
                match seen {
                    Seen::Recorded => Ok(true),
                    Seen::Unsure => Ok(false),
                    Seen::Unrecorded => Err(Error::NotAttached {
                        what: "its change counter is not that of the newest recorded change".to_owned(),
                    }),
                }
            }
            Some(_) | None => Ok(false),
        }
    }
}
