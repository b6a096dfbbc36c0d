//! The locks by which nobody but us back-fills, restarts or deletes the WAL while readers and writers go on.

use std::ffi::CStr;
use std::time::Duration;

use super::attach::open_connection;
use super::core::{Core, Frozen};
use super::index::{IndexHeader, UNUSED_MARK};
use super::locks::{CKPT, READ4};
use crate::error::Error;
use crate::fault;
use crate::ffi::{HostFile, ShmLock};

/// The read slot the freeze is on.
pub(crate) const SLOT: u8 = 4;

/// Needs a read transaction, hence a valid wal-index.
pub(crate) const TOUCH: &CStr = c"SELECT count(*) FROM sqlite_schema";

impl Core {
    /// Takes the freeze: SHARED on CKPT and on READ4 with its mark at what is back-filled. SHARED on the database has been
    /// there since [`Core::open`], and stays.
    ///
    /// From here on the back-filled count, the generation and the `-wal` file stay.
    pub(crate) fn freeze(&mut self, timeout: Duration) -> Result<(), Error> {
        let taken = self.freeze_steps(timeout);
        if taken.is_err() {
            self.thaw();
        }
        taken
    }

    fn freeze_steps(&mut self, timeout: Duration) -> Result<(), Error> {
        // A checkpointer that is at work finishes first.
        HostFile::retry_patiently(timeout, || self.file.shm_lock(CKPT, 1, ShmLock::Shared))
            .map_err(Error::vfs("lock the wal-index against checkpoints"))?;
        let back_filled = self.index.watch().back_filled();
        self.hold_slot(back_filled, timeout)?;
        let header = self.index.watch().settled_header().ok_or_else(|| Error::WalDamaged {
            what: "the wal-index header is not valid right after SQLite read it".to_owned(),
        })?;
        self.frozen = Some(Frozen { salt: header.salt, back_filled });
        Ok(())
    }

    /// Takes SHARED on the slot, with its read mark at `mark` if nobody else is on it. A reader may have moved the mark
    /// between our two locks, hence the loop.
    ///
    /// A reader that got the slot while we had let go of it may keep it for long. Then its mark has to do: SHARED on
    /// the slot alone prevents a restart, SHARED on CKPT a back-fill.
    ///
    /// Without the slot the freeze is none: after a failure it ends with the call.
    pub(crate) fn hold_slot(&mut self, mark: u32, timeout: Duration) -> Result<(), Error> {
        let held = self.hold_slot_steps(mark, timeout);
        if held.is_err() && self.frozen.is_some() {
            self.exclusion.set_thawed();
            self.adrift = true;
        }
        held
    }

    fn hold_slot_steps(&mut self, mark: u32, timeout: Duration) -> Result<(), Error> {
        let busy = || Error::vfs("lock the freeze's read slot");
        for _ in 0..1000 {
            let mut taken = false;
            if self.index.watch().read_mark(SLOT) != mark {
                if self.try_exclusive(READ4, 1)? {
                    self.index.set_read_mark(SLOT, mark);
                    self.file.shm_barrier();
                    self.release_exclusive(READ4, 1)?;
                } else {
                    taken = true;
                }
            }
            HostFile::retry(timeout, || self.file.shm_lock(READ4, 1, ShmLock::Shared)).map_err(busy())?;
            self.file.shm_barrier();
            if taken || self.index.watch().read_mark(SLOT) == mark {
                return Ok(());
            }
            self.release_slot()?;
        }
        Err(Error::Busy {
            what: "readers keep moving the freeze's read mark".to_owned(),
            holder: None,
            waited: timeout,
        })
    }

    /// Gives the slot back, for a moment in which WRITE or CKPT protect the WAL.
    pub(crate) fn release_slot(&mut self) -> Result<(), Error> {
        self.file.shm_unlock(READ4, 1, ShmLock::Shared).map_err(Error::vfs("unlock the freeze's read slot"))
    }

    /// Gives the freeze's locks in the wal-index back. Locks that are not held are no error to SQLite.
    ///
    /// SHARED on the database stays until the file is closed: without it the last connection elsewhere deletes `-wal`
    /// and `-shm`, and what we have mapped is nobody's any more.
    pub(crate) fn thaw(&mut self) {
        self.frozen = None;
        self.exclusion.set_thawed();
        let _ = self.file.shm_unlock(READ4, 1, ShmLock::Shared);
        let _ = self.file.shm_unlock(CKPT, 1, ShmLock::Shared);
    }

    /// Gives the holder role back with the locks, after a failure that left the WAL as a kill would have: whoever comes
    /// next, this recording's next call or another process, attaches, lets SQLite recover, and finds out what holds.
    pub(crate) fn let_go(&mut self) {
        self.adrift = false;
        self.thaw();
        self.holder = None;
    }

    /// To be called when no lock but the freeze and the object's is held.
    pub(crate) fn let_go_if_adrift(&mut self) {
        if self.adrift {
            self.let_go();
        }
    }

    /// The published header. When its writer died in the middle, SQLite recovers it first.
    pub(crate) fn header(&mut self) -> Result<IndexHeader, Error> {
        for _ in 0..3 {
            if let Some(header) = self.index.watch().settled_header() {
                return Ok(header);
            }
            self.recover()?;
        }
        Err(Error::WalDamaged { what: "the wal-index header stays invalid after a recovery".to_owned() })
    }

    /// Lets SQLite recover the wal-index. It needs CKPT for that, so that we let go of it meanwhile; the slot
    /// keeps the generation and the back-fill where they are.
    fn recover(&mut self) -> Result<(), Error> {
        if self.frozen.is_some() {
            let _ = self.file.shm_unlock(CKPT, 1, ShmLock::Shared);
        }
        let read = open_connection(self.api, &self.path, self.timeout)
            .and_then(|connection| connection.execute(TOUCH))
            .map_err(Error::sqlite("recover the wal-index"));
        if let Some(frozen) = self.frozen {
            let held = self.hold_against_checkpoints();
            // Without it the freeze is none: it ends with the call.
            if held.is_err() {
                self.exclusion.set_thawed();
                self.adrift = true;
            }
            held?;
            self.keep_back_filled(frozen.back_filled)?;
        }
        read.map(|_| ())
    }

    /// Takes SHARED on CKPT again after a moment without it.
    fn hold_against_checkpoints(&mut self) -> Result<(), Error> {
        let timeout = self.timeout;
        let failed = |source| Error::Io { action: "lock", path: self.path.clone(), source };
        fault::failure("wal recovery: lock again").map_err(failed)?;
        HostFile::retry(timeout, || self.file.shm_lock(CKPT, 1, ShmLock::Shared))
            .map_err(Error::vfs("lock the wal-index against checkpoints"))
    }

    /// Has the wal-index say that these frames are in the database file, after a recovery that forgot. The freeze
    /// is in place.
    pub(crate) fn keep_back_filled(&mut self, frames: u32) -> Result<(), Error> {
        let Some(frozen) = &mut self.frozen else { return Ok(()) };
        frozen.back_filled = frozen.back_filled.max(frames);
        let frames = frozen.back_filled;
        let lower = self.index.watch().read_mark(SLOT) < frames;
        if lower || self.index.watch().read_mark(SLOT) == UNUSED_MARK {
            self.release_slot()?;
            self.hold_slot(frames, self.timeout)?;
        }
        if self.index.watch().back_filled() < frames {
            self.index.set_back_filled(frames);
        }
        Ok(())
    }

    /// Whether what the freeze promises is still so.
    pub(crate) fn freeze_holds(&self, header: &IndexHeader) -> bool {
        self.frozen.is_some_and(|frozen| {
            frozen.salt == header.salt && self.index.watch().back_filled() <= frozen.back_filled
        })
    }
}
