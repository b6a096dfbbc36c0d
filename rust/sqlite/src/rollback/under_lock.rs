//! Looking at the database file under a lock, with no hot journal about.

use std::fs::Metadata;
use std::time::Duration;

use super::engine::Rollback;
use super::journal;
use super::lock_wait::{self, Wait};
use super::present::Present;
use crate::error::Error;
use crate::ffi::{Connection, LockLevel};
use crate::file::{FileId, Header, read_padded};

impl Rollback {
    /// Runs `body` under a SHARED lock, with no hot journal about; gives the lock back in any case.
    pub(super) fn under_shared<T>(
        &mut self,
        timeout: Duration,
        body: impl FnOnce(&mut Self, Present) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let wait = Wait::new(self.id, timeout);
        loop {
            lock_wait::shared(&mut self.file, &wait)?;
            let result = self.shared_body();
            match result {
                Ok(Some(present)) => {
                    let result = body(self, present);
                    let _ = self.file.unlock(LockLevel::None);
                    return result;
                }
                Ok(None) => {
                    let _ = self.file.unlock(LockLevel::None);
                    self.play_back(wait.left())?;
                    wait.check("the journal of a dead process to be played back")?;
                }
                Err(error) => {
                    let _ = self.file.unlock(LockLevel::None);
                    return Err(error);
                }
            }
        }
    }

    /// `None`: there is a hot journal.
    fn shared_body(&mut self) -> Result<Option<Present>, Error> {
        self.check_same_file()?;
        let journal = journal::path_for(&self.path);
        let io = |source| Error::Io { action: "look at", path: journal.clone(), source };
        if journal::is_hot(&journal).map_err(io)? {
            // With a writer alive it is that writer's own; it cannot touch the database while we read.
            if !self.file.reserved_elsewhere().map_err(Error::vfs("look for a writer"))? {
                return Ok(None);
            }
        }
        self.present().map(Some)
    }

    /// The path must still lead to the file that is open.
    pub(super) fn check_same_file(&self) -> Result<Metadata, Error> {
        match std::fs::metadata(&self.path) {
            Ok(found) if FileId::from(&found) == self.id => Ok(found),
            _ => Err(Error::FileReplaced { path: self.path.clone() }),
        }
    }

    /// Reads what is there. The caller holds a lock.
    pub(super) fn present(&mut self) -> Result<Present, Error> {
        let size = self.file.size().map_err(Error::vfs("learn the database's size"))?;
        if size == 0 {
            return Ok(Present { header: None, size });
        }
        let mut page = [0; Header::LEN];
        read_padded(&mut self.file, &mut page, 0).map_err(Error::vfs("read page 1"))?;
        let Some(header) = Header::parse(&page) else {
            let what = "its first bytes are not those of a database, or it is encrypted".to_owned();
            return Err(Error::NotADatabase { path: self.path.clone(), what });
        };
        Ok(Present { header: Some(header), size })
    }

    /// What is written in WAL mode goes unseen here.
    pub(super) fn check_journal_mode(&self, present: &Present) -> Result<(), Error> {
        if present.header.is_some_and(|header| header.versions != [1, 1]) {
            let what = "the database is being switched to WAL mode; try again";
            return Err(Error::Unsupported { what: what.to_owned() });
        }
        Ok(())
    }

    /// Lets SQLite finish what a dead process left.
    pub(super) fn play_back(&self, timeout: Duration) -> Result<(), Error> {
        let action = "play back the journal that a dead process left";
        // Below the shim: what comes back is the last committed state, which needs no image.
        let connection = Connection::open(self.api, &self.path, Some(self.vfs.name()), timeout)
            .map_err(Error::sqlite(action))?;
        connection.execute(c"PRAGMA schema_version").map_err(Error::sqlite(action))?;
        Ok(())
    }
}
