//! The engine's state and its calls; what they do is in `under_lock`, `era` and `rewind`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbrewind_core::{Code, Extent, Head, Key, Kind, Lsn, ObjectId, Store, SyncError};

use super::buffers::Buffers;
use super::bystander::{Bystander, Seen};
use super::present::Present;
use super::registry::{self, Attachment};
use super::settle;
use super::spare::Turns;
use crate::digest::Digester;
use crate::engine::{Change, Engine, JournalMode, Moment, SharedHistory, locked};
use crate::error::Error;
use crate::ffi::{Connection, HostFile, HostVfs, LockLevel, SqliteApi, WriteBack, shim};
use crate::file::{FileId, Header, read_padded};
use crate::options::Synchronous;
use crate::registers::Registers;

/// Records and rewinds one database in a rollback journal mode.
pub(crate) struct Rollback {
    pub(super) api: SqliteApi,
    /// The VFS below the shim.
    pub(super) vfs: HostVfs,
    pub(super) path: PathBuf,
    pub(super) file: HostFile,
    pub(super) id: FileId,
    pub(super) history: SharedHistory,
    /// The same as in the history, without its lock.
    pub(super) store: Store,
    pub(super) object: ObjectId,
    /// Size of a block in bytes, for ever: the page size at the first attach.
    pub(super) block: u32,
    pub(super) timeout: Duration,
    pub(super) synchronous: Synchronous,
    /// `None` until the first look at the database is over, and after `close`.
    pub(super) attachment: Option<Attachment>,
    pub(super) buffers: Buffers,
    pub(super) spares: Turns,
    pub(super) write_back: WriteBack,
}

impl Rollback {
    pub(super) fn registers(&self) -> Registers<'_> {
        Registers::new(&self.store, self.object)
    }

    pub(super) fn head(&self, kind: Kind, key: u64, lsn: Lsn) -> Head {
        Head::new(kind, self.object, Key::new(key), lsn)
    }

    pub(super) fn extent(&self, size: u64) -> Extent {
        Extent::new(size.div_ceil(u64::from(self.block)))
    }

    /// A file of no bytes becomes a database without tables: a counter needs a page to be in.
    fn make_first_page(&self) -> Result<(), Error> {
        let action = "write the first page of the empty database";
        let connection = Connection::open(self.api, &self.path, Some(shim::NAME), self.timeout)
            .map_err(Error::sqlite(action))?;
        connection.execute(c"PRAGMA user_version = 0").map_err(Error::sqlite(action))?;
        Ok(())
    }

    fn moment_of(&mut self, present: &Present, anew: bool) -> Result<Moment, Error> {
        self.check_journal_mode(present)?;
        if let Some(code) = self.store.broken(self.object) {
            // What stopped it would stop it again; who opens the recording anew has seen to that.
            return Err(Error::stopped(&self.store, code));
        }
        match self.settle(present)? {
            Some(()) => {}
            None if anew => drop(self.begin_era(present, true)?),
            None => return Err(self.not_attached(present)),
        }
        self.begin_era_if_due(present)?;
        let lsn = self.store.last_lsn(self.object);
        let extent = self.extent(present.size);
        // Before the lock goes: whatever is written from now on is kept for this moment. A transaction that
        // is open but has not written yet is above it; images of one that was undone are above it too, and
        // hold what is there now.
        self.registers().set_boundary(lsn, extent.get());
        let mut note = present.counter().to_le_bytes().to_vec();
        note.extend_from_slice(&present.cookie().to_le_bytes());
        Ok(Moment { lsn, extent, note })
    }

    /// Whether this is the newest moment, as far as the registers and the file's header tell.
    fn reads_as(&mut self, at: Lsn) -> Result<bool, Error> {
        let announced = self.registers().in_flight();
        let mut start = [0; Header::LEN];
        read_padded(&mut self.file, &mut start, 0).map_err(Error::vfs("read page 1"))?;
        let counter =
            Header::parse(&start).filter(|header| header.versions == [1, 1]).map(|header| header.counter);
        // No lock is needed. What is recorded takes an LSN, and LSNs only grow: if the newest one is `at` after the read, no
        // recorded change had happened at the read. An unrecorded one has another counter.
        let registers = self.registers();
        Ok(announced.is_none()
            && registers.in_flight().is_none()
            && counter == Some(registers.counter())
            && self.store.last_lsn(self.object) == at)
    }
}

impl Engine for Rollback {
    fn journal(&self) -> JournalMode {
        JournalMode::Rollback
    }

    fn left(&mut self) -> bool {
        // Without a lock, hence a hint only.
        let mut versions = [0; 2];
        let read = read_padded(&mut self.file, &mut versions, crate::file::VERSIONS as u64);
        read.is_ok() && versions == [2, 2] && self.check_same_file().is_ok()
    }

    fn bypassed(&mut self) -> bool {
        let seen = self.under_shared(Duration::ZERO, |engine, present| {
            let registers = engine.registers();
            Ok(settle::outcome(registers.in_flight(), registers.counter(), present.counter()).is_none())
        });
        // While somebody writes it does not show; the next look tells.
        seen.unwrap_or(false)
    }

    fn shows_unrecorded(&mut self) -> bool {
        let registers = self.registers();
        let before = (registers.in_flight(), registers.counter());
        let mut start = [0; Header::LEN];
        let read = read_padded(&mut self.file, &mut start, 0);
        let found = Header::parse(&start).map(|header| header.counter);
        let registers = self.registers();
        let after = (registers.in_flight(), registers.counter());
        read.is_ok() && before == after && after.0.is_none() && found.is_some_and(|found| found != after.1)
    }

    fn make_way(&mut self) -> Result<(), Error> {
        let _lock = self.store.lock_object(self.object, Duration::ZERO)?;
        self.under_shared(Duration::ZERO, |engine, present| {
            engine.check_journal_mode(&present)?;
            let goes_on = present.header.is_some() && engine.store.broken(engine.object).is_none();
            if goes_on && engine.settle(&present)?.is_some() {
                engine.begin_era_if_due(&present)?;
            }
            Ok(())
        })
    }

    fn check_in_place(&mut self) -> Result<(), Error> {
        self.check_same_file().map(drop)
    }

    fn check_recorded(&mut self) -> Result<(), Error> {
        if let Some(code) = self.store.broken(self.object) {
            return Err(Error::stopped(&self.store, code));
        }
        let exclusion = Arc::clone(&locked(&self.history).exclusion);
        let (store, object, id, path) = (&self.store, self.object, self.id, self.path.as_path());
        let by = Bystander { store, object, id, path, exclusion: &exclusion };
        if by.look(&mut self.file)? == Seen::Unrecorded {
            let present = self.present()?;
            return Err(self.not_attached(&present));
        }
        Ok(())
    }

    fn moment(&mut self, anew: bool) -> Result<Moment, Error> {
        let timeout = self.timeout;
        for _ in 0..3 {
            let lock = self.store.lock_object(self.object, timeout)?;
            let moment = self.under_shared(timeout, |engine, present| match present.header {
                Some(_) => engine.moment_of(&present, anew).map(Some),
                None => Ok(None),
            })?;
            drop(lock);
            match moment {
                Some(moment) => return Ok(moment),
                None => self.make_first_page()?,
            }
        }
        Err(Error::internal("the database stays empty"))
    }

    fn now(&mut self) -> Result<Lsn, Error> {
        if let Some(code) = self.store.broken(self.object) {
            return Err(Error::stopped(&self.store, code));
        }
        let started = Instant::now();
        let checked = self.under_shared(Duration::ZERO, |engine, present| {
            if engine.registers().in_flight().is_some() {
                return Ok(None);
            }
            if engine.registers().counter() != present.counter() {
                return Err(engine.not_attached(&present));
            }
            Ok(Some(engine.store.last_lsn(engine.object)))
        });
        match checked {
            Ok(Some(lsn)) => Ok(lsn),
            // A transaction is being written: what was committed before it counts.
            Err(Error::Busy { .. }) => Ok(self.store.last_lsn(self.object)),
            Ok(None) => {
                let timeout = self.timeout.saturating_sub(started.elapsed());
                let _lock = self.store.lock_object(self.object, timeout)?;
                self.under_shared(timeout, |engine, present| {
                    engine.settle(&present)?.ok_or_else(|| engine.not_attached(&present))?;
                    Ok(engine.store.last_lsn(engine.object))
                })
            }
            Err(error) => Err(error),
        }
    }

    fn is_at(&mut self, at: Lsn) -> Result<bool, Error> {
        if let Some(code) = self.store.broken(self.object) {
            return Err(Error::stopped(&self.store, code));
        }
        self.check_same_file()?;
        self.reads_as(at)
    }

    fn glance(&mut self, at: Lsn) -> bool {
        self.store.broken(self.object).is_none() && self.reads_as(at).unwrap_or(false)
    }

    fn has_passed(&mut self, at: Lsn) -> bool {
        self.store.last_lsn(self.object) > at
    }

    fn is_at_rest(&mut self) -> bool {
        // Who is in a transaction has SHARED at least.
        if let Some(unlocked) = self.file.is_unlocked() {
            return unlocked;
        }
        // Which keeps us from EXCLUSIVE.
        let alone = self.file.lock(LockLevel::Shared).is_ok() && self.file.lock(LockLevel::Exclusive).is_ok();
        self.file.unlock(LockLevel::None).is_ok() && alone
    }

    fn marked(&mut self, _lsn: Lsn) {}

    fn is_hot(&mut self, _lsn: Lsn) -> bool {
        false
    }

    fn rewind(&mut self, to: Lsn, timeout: Duration) -> Result<Change, Error> {
        self.rewind_to(to, timeout)
    }

    fn digest(&mut self, timeout: Duration) -> Result<[u8; 16], Error> {
        self.under_shared(timeout, |engine, present| {
            let extent = engine.extent(present.size).get();
            let mut digester = Digester::new(extent);
            let mut page = vec![0; engine.block as usize];
            for index in 0..extent {
                let offset = index * u64::from(engine.block);
                read_padded(&mut engine.file, &mut page, offset).map_err(Error::vfs("read the database"))?;
                digester.page(&mut page);
            }
            Ok(digester.finish())
        })
    }

    fn drain(&mut self, _timeout: Duration) -> Result<(), Error> {
        // A commit is in the store before SQLite's COMMIT returns.
        match self.store.broken(self.object) {
            Some(code) => Err(Error::stopped(&self.store, code)),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        let timeout = self.timeout;
        let noted = self.under_shared(timeout, |engine, present| {
            if present.header.is_none_or(|header| header.versions == [1, 1])
                && engine.store.broken(engine.object).is_none()
                && engine.registers().in_flight().is_none()
                && engine.registers().counter() == present.counter()
            {
                engine.leave_anchor(&present)?;
            }
            // Still under the lock: no commit slips in between the note and the end of recording.
            engine.attachment = None;
            Ok(())
        });
        self.attachment = None;
        if noted.is_ok() && self.synchronous != Synchronous::Off {
            // Without the lock: whoever writes meanwhile need not wait for the disk.
            match self.store.sync_within(timeout) {
                // Somebody has taken the store away: there is nothing to keep.
                Err(SyncError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                synced => synced?,
            }
        }
        match noted {
            Err(Error::Busy { .. }) => {
                // Somebody writes: the registers say all that is needed. But a connection of this process that
                // stays in exclusive locking mode goes on unrecorded, and with the same change counter.
                let here = registry::held_here(self.id);
                if here.mine.max(here.others) > 2 && registry::handles(self.id) == 0 {
                    self.store.set_broken(self.object, Code::NotAttached);
                }
                Ok(())
            }
            other => other,
        }
    }
}
