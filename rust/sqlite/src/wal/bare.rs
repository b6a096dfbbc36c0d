//! What `close` leaves to those who do not know us: a WAL without frames.
//!
//! A program that opens the database alone recovers what is in the WAL, and brings all of it into the database file when it
//! closes it, although it is there: nobody could tell that from a write. With nothing in the WAL it takes that away, and
//! leaves the file alone.

use super::core::Core;
use super::header::WalHeader;
use crate::checksum::Salt;
use crate::error::Error;
use crate::fault;
use crate::ffi::LockLevel;
use crate::options::Synchronous;

impl Core {
    /// Cuts the WAL down to its header, if everything is in the database file and nobody else has that open. The last
    /// steps of a recording have been done, and the object's lock is held. Afterwards there is no freeze.
    pub(super) fn leave_bare_wal(&mut self) -> Result<(), Error> {
        let durable = self.synchronous != Synchronous::Off;
        if durable {
            // What others have back-filled they need not have synced.
            self.file.sync().map_err(Error::vfs("sync the database"))?;
        }
        // SQLite keeps SHARED for as long as a connection is in WAL mode; so does each recording.
        let alone = self.file.lock(LockLevel::Exclusive).is_ok();
        let cut = alone && self.cut_wal();
        self.thaw();
        // Also what a failed attempt has left of a lock. SHARED goes with the handle.
        let _ = self.file.unlock(LockLevel::Shared);
        if cut && durable {
            self.wal.sync()?;
            fault::place("wal close: wal synced");
        }
        Ok(())
    }

    /// EXCLUSIVE on the database is held. Answers whether the WAL is bare now; if not, it is as it was.
    fn cut_wal(&mut self) -> bool {
        let Some(header) = self.index.watch().settled_header() else { return false };
        // Somebody may have committed, and gone, before we were alone.
        let last = self.is_anchored_whole(&header).unwrap_or(false);
        if !last || !self.freeze_holds(&header) || !self.wal.is_current() {
            return false;
        }
        // Whoever opens the database while our handle still keeps the wal-index alive recovers it from the file.
        self.index.invalidate(&mut self.file);
        fault::place("wal close: index invalid");
        let cut = self.wal.cut_frames().is_ok();
        fault::place("wal close: wal cut");
        cut
    }

    /// The salts of a WAL that has none but its header. Whoever commits gives it other ones, and on disk before anything is
    /// brought into the database file.
    pub(super) fn bare_salt(&self) -> Option<Salt> {
        let bare = self.wal.is_bare().unwrap_or(false);
        let header = bare.then(|| self.wal.read_header().ok()).flatten()?;
        WalHeader::decode(&header).map(|(header, _)| header.salt)
    }
}
