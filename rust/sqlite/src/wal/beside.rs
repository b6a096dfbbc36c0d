//! A look at the database file while another process has the freeze.

use std::path::{Path, PathBuf};

use super::anchor::{damaged_anchor, is_untouched};
use super::index::WalIndex;
use super::locks::CKPT;
use crate::engine::{SharedHistory, locked};
use crate::error::Error;
use crate::ffi::{HostFile, ShmLock, VfsError};
use crate::notes::{WalAnchor, tag};

/// Keeps back-fills by others out for the length of a read, and asks the newest anchor whether one came before. The
/// holder's own go on: they save what they overwrite.
#[derive(Debug)]
pub(crate) struct Beside {
    path: PathBuf,
    index: WalIndex,
    locked: bool,
}

impl Beside {
    /// Maps the wal-index through this handle, which must outlive the result.
    pub(crate) fn open(file: &mut HostFile, path: &Path) -> Result<Self, Error> {
        let index = WalIndex::map(file)?;
        Ok(Self { path: path.to_owned(), index, locked: false })
    }

    /// Before a read. Somebody who recovers or back-fills now shows in [`Beside::unlock`].
    pub(crate) fn lock(&mut self, file: &mut HostFile) -> Result<(), Error> {
        match file.shm_lock(CKPT, 1, ShmLock::Shared) {
            Ok(()) => self.locked = true,
            Err(VfsError::Busy) => {}
            Err(error) => return Err(Error::vfs("lock the wal-index against checkpoints")(error)),
        }
        Ok(())
    }

    /// After it: whether the database file holds what the holder of the freeze, and nobody else, brought into it.
    pub(crate) fn unlock(&mut self, file: &mut HostFile, history: &SharedHistory) -> Result<bool, Error> {
        if !std::mem::take(&mut self.locked) {
            return Ok(false);
        }
        let frozen = self.is_frozen(history);
        file.shm_unlock(CKPT, 1, ShmLock::Shared).map_err(Error::vfs("unlock the wal-index"))?;
        frozen
    }

    fn is_frozen(&self, history: &SharedHistory) -> Result<bool, Error> {
        let anchor = {
            let mut history = locked(history);
            history.catch_up()?;
            let Some(note) = history.timeline.notes(tag::ANCHOR).last() else { return Ok(false) };
            WalAnchor::decode(&note.body).ok_or_else(|| damaged_anchor(note.lsn))?
        };
        let same = self.index.watch().header().is_some_and(|header| header.salt == anchor.salt);
        Ok(same && is_untouched(&self.path, &self.index, &anchor)?)
    }
}
