//! Going on with a history that was recorded in a rollback mode until the database was switched to WAL
//! (`recovery.md`, "A change of journal mode").

use std::path::Path;

use dbrewind_core::{Engine as EraEngine, Extent};

use super::core::{Core, Frozen};
use super::locks::CKPT;
use crate::engine::{SharedHistory, locked};
use crate::error::Error;
use crate::fault;
use crate::ffi::{HostFile, ShmLock, SqliteApi};
use crate::handover::Handover;
use crate::options::OpenOptions;

/// The WAL engine could not take over.
#[derive(Debug)]
pub(crate) struct NotAdopted {
    pub(crate) error: Error,
    /// If it still keeps everything as it is.
    pub(crate) handover: Option<Handover>,
}

impl NotAdopted {
    pub(crate) fn new(error: Error, handover: Option<Handover>) -> Box<Self> {
        Box::new(Self { error, handover })
    }
}

impl Core {
    /// Becomes the holder of a WAL that a handover has kept since it was created: the database file is the
    /// newest recorded moment, and everything in the WAL came after it.
    ///
    /// # Errors
    /// With the handover, as it was.
    pub(crate) fn adopt(
        api: SqliteApi,
        path: &Path,
        page_size: u32,
        history: SharedHistory,
        options: &OpenOptions,
        Handover { file, role }: Handover,
    ) -> Result<Self, Box<NotAdopted>> {
        let mut core = match Self::open_on(file, api, path, page_size, history, options) {
            Ok(core) => core,
            Err(given_back) => {
                let (error, file) = *given_back;
                return Err(NotAdopted::new(error, Some(Handover { file, role })));
            }
        };
        if let Err(error) = core.adopt_wal() {
            core.frozen = None;
            // A lock that is not held is no error to SQLite. The slot stays ours.
            let _ = core.file.shm_unlock(CKPT, 1, ShmLock::Shared);
            let Self { file, .. } = core;
            return Err(NotAdopted::new(error, Some(Handover { file, role })));
        }
        core.holder = Some(role);
        core.exclusion.set_frozen();
        Ok(core)
    }

    fn adopt_wal(&mut self) -> Result<(), Error> {
        let _object = self.lock_object(self.timeout)?;
        if self.index.watch().settled_header().is_none_or(|header| header.max_frame == 0) {
            self.write_first_frame()?;
        }
        HostFile::retry(self.timeout, || self.file.shm_lock(CKPT, 1, ShmLock::Shared))
            .map_err(Error::vfs("lock the wal-index against checkpoints"))?;
        let header = self.index.watch().settled_header();
        let Some(header) = header.filter(|header| header.max_frame > 0) else {
            return Err(Error::WalDamaged { what: "it is empty right after a commit".to_owned() });
        };
        if !self.index.is_untouched() {
            // Somebody got past the read mark: what was recorded so far ends here.
            self.thaw();
            self.freeze_with_a_frame()?;
            return self.take_over();
        }
        self.frozen = Some(Frozen { salt: header.salt, back_filled: 0 });
        self.attempted = 0;
        self.catch_up()?;
        self.learn(&header)?;
        fault::place("switch to wal: no era yet");
        locked(&self.history).begin_era(EraEngine::Wal, Extent::new(self.extent), false)?;
        fault::place("switch to wal: era begun");
        self.catch_up()?;
        if !self.resume_below(&header)? {
            return Err(Error::internal("the WAL was back-filled under the freeze"));
        }
        Ok(locked(&self.history).catch_up()?)
    }
}
