//! The engine's state, and what is done under a SHARED lock. The rewind itself is in `rewind`.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dbrewind_core::{
    Code, Engine as EraEngine, EraBody, Extent, Head, Key, Kind, Lsn, ObjectId, Store, Timestamp,
};

use super::attach;
use super::content::read_padded;
use super::file_id::{self, FileId};
use super::header::Header;
use super::journal;
use super::lock_wait::{self, Wait};
use super::registers::Registers;
use super::registry::{self, Attachment, Hook};
use super::rewind::Buffers;
use super::settle;
use crate::database::JournalMode;
use crate::digest::Digester;
use crate::engine::{Change, Engine, Moment, SharedHistory, locked};
use crate::error::Error;
use crate::ffi::{Connection, HostFile, HostVfs, LockLevel, SqliteApi, shim};
use crate::options::Synchronous;
use crate::wal::header::Checksum;
use crate::wal::notes::{ANCHOR, AnchorNote, FileState};

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
}

/// The database file under a lock: nobody writes, and no hot journal is waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    /// What page 1 says; `None`: the file is empty.
    pub(crate) header: Option<Header>,
    /// Size in bytes.
    pub(crate) size: u64,
}

impl Present {
    /// The change counter, 0 in an empty file.
    pub(crate) fn counter(&self) -> u32 {
        self.header.map_or(0, |header| header.counter)
    }

    /// The schema cookie, 0 in an empty file.
    pub(crate) fn cookie(&self) -> u32 {
        self.header.map_or(0, |header| header.cookie)
    }
}

impl Rollback {
    /// Begins to record the database at `path`, an absolute path without links, into an object whose key
    /// size is `block`.
    ///
    /// # Errors
    /// `DBR017` two copies of SQLite have the file open, `DBR013` not a database, `DBR004` somebody held it
    /// exclusively all the time. Nothing is recorded then.
    pub(crate) fn open(
        api: SqliteApi,
        path: &Path,
        history: SharedHistory,
        block: u32,
        options: &crate::options::OpenOptions,
        hook: Hook,
    ) -> Result<Self, Error> {
        attach::open(api, path, history, block, options, hook)
    }

    /// Goes on with a history that comes from WAL mode. `file` has EXCLUSIVE on the database, which is in a
    /// rollback mode by now and holds the newest recorded moment; it is given back. The object's lock is held.
    ///
    /// # Errors
    /// The next attach finds the history interrupted.
    pub(crate) fn adopt(
        api: SqliteApi,
        path: &Path,
        history: SharedHistory,
        block: u32,
        options: &crate::options::OpenOptions,
        hook: Hook,
        file: HostFile,
    ) -> Result<Self, Error> {
        attach::adopt(api, path, history, block, options, hook, file)
    }

    pub(super) fn registers(&self) -> Registers<'_> {
        Registers::new(&self.store, self.object)
    }

    pub(super) fn head(&self, kind: Kind, key: u64, lsn: Lsn) -> Head {
        Head { kind, flags: 0, object: self.object, key: Key::new(key), lsn }
    }

    pub(super) fn extent(&self, size: u64) -> Extent {
        Extent::new(size.div_ceil(u64::from(self.block)))
    }

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

    /// Records what came of a change whose process died. `None`: somebody wrote unrecorded.
    pub(super) fn settle(&mut self, present: &Present) -> Result<Option<()>, Error> {
        let registers = self.registers();
        let in_flight = registers.in_flight();
        let Some(outcome) = settle::outcome(in_flight, registers.counter(), present.counter()) else {
            return Ok(None);
        };
        if in_flight.is_some() {
            let extent = self.extent(present.size);
            settle::append(&self.store, self.object, outcome, extent)
                .map_err(|code| Error::Stopped { code })?;
            registers.raise_counter(present.counter());
            registers.raise_cookie(present.cookie());
            registers.set_in_flight(None);
        }
        Ok(Some(()))
    }

    /// Begins an era with what is there. Under a lock that keeps writers out, and the object's.
    pub(super) fn begin_era(&mut self, present: &Present, broken: bool) -> Result<Lsn, Error> {
        let highest = {
            let mut history = locked(&self.history);
            history.catch_up()?;
            history.timeline.highest().max(self.store.last_lsn(self.object))
        };
        let lsn = highest.next().ok_or_else(|| Error::internal("the LSNs are used up"))?;
        let extent = self.extent(present.size);
        self.store.raise_last_lsn(self.object, lsn);
        let body = EraBody { time: Timestamp::now(), extent, broken };
        let head =
            Head { kind: Kind::Era, flags: 0, object: self.object, key: EraEngine::Rollback.key(), lsn };
        self.store.append(head, &[&body.encode()])?;
        let registers = self.registers();
        // First of all: with the other words in place everybody goes on recording.
        registers.set_boundary(lsn, extent.get());
        registers.begin(present.counter(), present.cookie());
        registers.set_in_flight(None);
        self.store.clear_broken(self.object);
        self.append_anchor(present, lsn)?;
        Ok(lsn)
    }

    /// Notes what the file looks like at this moment, for an attach that finds no registers.
    pub(super) fn append_anchor(&self, present: &Present, lsn: Lsn) -> Result<(), Error> {
        let note = AnchorNote {
            file: FileState {
                device: self.id.device,
                inode: self.id.inode,
                size: present.size,
                modified: 0,
                changed: file_id::born(&self.path),
            },
            counter: present.counter(),
            salt: [0; 8],
            frame: 0,
            checksum: Checksum(0, 0),
            back_filled: 0,
            attempted: 0,
            under_way: false,
            settled: false,
            all_back_filled: true,
        };
        self.store.append(self.head(Kind::Note, ANCHOR, lsn), &[&note.encode()])?;
        Ok(())
    }

    /// Whom else the file shows: for the text of DBR001.
    pub(super) fn not_attached(&self, present: &Present) -> Error {
        let (found, known) = (present.counter(), self.registers().counter());
        let who = super::holders::open_elsewhere(self.id)
            .map_or_else(String::new, |who| format!("; it is open in {who}"));
        let what = format!(
            "its change counter is {found}, the newest recorded change left {known}{who}. A connection that \
             was opened before the recording, or another VFS, or another program wrote to it. Earlier marks \
             are lost"
        );
        Error::NotAttached { what }
    }

    /// A file of no bytes becomes a database without tables: a counter needs a page to be in.
    fn make_first_page(&self) -> Result<(), Error> {
        let action = "write the first page of the empty database";
        let connection = Connection::open(self.api, &self.path, Some(shim::NAME), self.timeout)
            .map_err(Error::sqlite(action))?;
        connection.execute(c"PRAGMA user_version = 0").map_err(Error::sqlite(action))?;
        Ok(())
    }

    fn moment_of(&mut self, present: &Present) -> Result<Moment, Error> {
        self.check_journal_mode(present)?;
        if let Some(code) = self.store.broken(self.object) {
            // What stopped it would stop it again; who opens the recording anew has seen to that.
            return Err(Error::Stopped { code });
        }
        if self.settle(present)?.is_none() {
            self.begin_era(present, true)?;
        }
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
}

impl Engine for Rollback {
    fn journal(&self) -> JournalMode {
        JournalMode::Rollback
    }

    fn left(&mut self) -> bool {
        // Without a lock, hence a hint only.
        let mut versions = [0; 2];
        let read = read_padded(&mut self.file, &mut versions, super::header::VERSIONS);
        read.is_ok() && versions == [2, 2] && self.check_same_file().is_ok()
    }

    fn moment(&mut self) -> Result<Moment, Error> {
        let timeout = self.timeout;
        for _ in 0..3 {
            let lock = self.store.lock_object(self.object, timeout)?;
            let moment = self.under_shared(timeout, |engine, present| match present.header {
                Some(_) => engine.moment_of(&present).map(Some),
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
            return Err(Error::Stopped { code });
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
            Some(code) => Err(Error::Stopped { code }),
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
                engine.append_anchor(&present, engine.store.last_lsn(engine.object))?;
            }
            // Still under the lock: no commit slips in between the note and the end of recording.
            engine.attachment = None;
            Ok(())
        });
        self.attachment = None;
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
