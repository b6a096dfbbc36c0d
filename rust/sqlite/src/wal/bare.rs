//! What `close` leaves to those who do not know us: a WAL without frames.
//!
//! A program that opens the database alone recovers what is in the WAL, and brings all of it into the database file when it
//! closes it, although it is there: nobody could tell that from a write. With nothing in the WAL it takes that away, and
//! leaves the file alone.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::core::Core;
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
        if !last || !self.freeze_holds(&header) || !self.wal.is_current() || is_mapped_twice(&self.path) {
            return false;
        }
        // Whoever opens the database while our handle still keeps the wal-index alive recovers it from the file.
        self.index.invalidate(&mut self.file);
        fault::place("wal close: index invalid");
        let cut = self.wal.cut_frames().is_ok();
        fault::place("wal close: wal cut");
        cut
    }

    /// The salts of a WAL that was left so. Whoever commits gives it other ones, and on disk before anything is brought into
    /// the database file.
    pub(super) fn bare_salt(&self) -> Option<Salt> {
        self.wal.bare_salt()
    }
}

/// Whether two copies of SQLite in this process are connected: each maps the wal-index once. Locks are the process's, so
/// none keeps them apart.
fn is_mapped_twice(database: &Path) -> bool {
    let mut index = database.as_os_str().to_owned();
    index.push("-shm");
    let Ok(inode) = std::fs::metadata(index).map(|index| index.ino().to_string()) else { return true };
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return true };
    // address perms offset device inode path
    let starts = maps.lines().filter(|line| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let (offset, there) = (fields.next(), fields.nth(1));
        offset.is_some_and(|offset| offset.bytes().all(|digit| digit == b'0')) && there == Some(&inode)
    });
    starts.count() != 1
}
