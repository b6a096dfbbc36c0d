//! Beginning to record: a WAL that exists, the freeze, and whether history goes on or begins anew.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbrewind_core::{Engine as EraEngine, Extent, Kind, Lsn};

use super::ahead::Beyond;
use super::anchor::Kept;
use super::core::Core;
use super::file::WalFile;
use super::freeze::TOUCH;
use super::header::WalHeader;
use super::index::{IndexHeader, WalIndex};
use super::locks::{WRITE, holder_of};
use super::runs::Runs;
use crate::checksum::Checksum;
use crate::engine::{SharedHistory, locked};
use crate::error::Error;
use crate::fault;
use crate::ffi::types::SQLITE_BUSY;
use crate::ffi::{Connection, HostFile, HostVfs, LockLevel, SqliteApi, shim};
use crate::file;
use crate::options::{OpenOptions, Synchronous};

impl Core {
    /// Opens the handles on a database in WAL mode. Records nothing yet.
    pub(crate) fn open(
        api: SqliteApi,
        path: &Path,
        page_size: u32,
        history: SharedHistory,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let vfs = shim::real_vfs(&api)
            .ok_or_else(|| Error::Unreachable { what: "this SQLite has no VFS".to_owned() })?;
        let file = HostFile::open(vfs, path).map_err(Error::vfs("open the database"))?;
        Self::open_on(file, api, path, page_size, history, options).map_err(|given_back| given_back.0)
    }

    /// The same on a handle that is open already; after an error it is given back.
    pub(super) fn open_on(
        mut file: HostFile,
        api: SqliteApi,
        path: &Path,
        page_size: u32,
        history: SharedHistory,
        options: &OpenOptions,
    ) -> Result<Self, Box<(Error, HostFile)>> {
        // Makes sure that a `-wal` file and a valid index exist; while it is open, they stay.
        let parts = connect(api, path, options).and_then(|_connection| {
            // As long as we have this, no last connection deletes the WAL.
            HostFile::retry_patiently(options.timeout, || file.lock(LockLevel::Shared))
                .map_err(Error::vfs("lock the database"))?;
            Ok((WalIndex::map(&mut file)?, WalFile::open(path, page_size)?))
        });
        let (index, wal) = match parts {
            Ok(parts) => parts,
            Err(error) => return Err(Box::new((error, file))),
        };
        let (store, object, exclusion) = {
            let history = locked(&history);
            (history.store.clone(), history.object, Arc::clone(&history.exclusion))
        };
        Ok(Self {
            api,
            path: path.to_owned(),
            file,
            index,
            wal,
            page_size,
            history,
            store,
            object,
            exclusion,
            runs: Runs::default(),
            sequence: 0,
            holder: None,
            frozen: None,
            attempted: 0,
            tailed: Lsn::ORIGIN,
            extent: 0,
            first_cookies: std::collections::HashMap::new(),
            synchronous: options.synchronous,
            wal_limit: options.wal_limit,
            timeout: options.timeout,
            anchor_pending: false,
            settled: None,
            anchor_frame: 0,
            found_bare: None,
            beyond: Beyond::default(),
            adrift: false,
            without_room: None,
            found_lost: false,
            in_need: false,
            rewound: None,
            writing: false,
            by_tail: false,
            asked: None,
            buffer: Vec::new(),
        })
    }

    /// Becomes the holder if nobody is: freezes the WAL and finds out whether history was kept. Another
    /// holder's history is joined as it is.
    ///
    /// # Errors
    /// [`Error::NoRoom`] among others: then nothing is recorded, and what is in the store is as it was.
    pub(crate) fn attach(&mut self) -> Result<(), Error> {
        // Whatever the call before met: no call begins with a freeze that is none.
        self.let_go_if_adrift();
        if self.holder.is_some() {
            return Ok(());
        }
        let Some(role) = self.store.try_hold(self.object)? else {
            self.without_room = None;
            return if self.runs.stamp() == 0 { self.join() } else { Ok(()) };
        };
        let _object = self.lock_object(self.timeout)?;
        if !self.has_room_to_begin() {
            // Before the WAL gets a frame that nobody records.
            self.found_lost = self.seems_lost();
            return Err(self.refuse_for_room());
        }
        fault::place("wal attach: room");
        let before = self.store.broken(self.object);
        self.in_need = true;
        let taken = self.freeze_with_a_frame().and_then(|()| {
            fault::place("wal attach: frozen");
            self.take_over()
        });
        self.in_need = false;
        match taken {
            Ok(()) => {
                self.holder = Some(role);
                self.without_room = None;
                self.exclusion.set_frozen();
                Ok(())
            }
            Err(error) => {
                self.thaw();
                if !error.is_full() && !matches!(error, Error::NoRoom { .. }) {
                    return Err(error);
                }
                if before.is_none() {
                    // What is in the WAL may be recorded yet.
                    self.store.clear_broken(self.object);
                }
                Err(self.refuse_for_room())
            }
        }
    }

    /// Somebody else holds: it may be in the middle of its own attach, hence the object's lock.
    fn join(&mut self) -> Result<(), Error> {
        let _object = self.lock_object(self.timeout)?;
        self.catch_up()?;
        if locked(&self.history).timeline.era().is_none_or(|era| era.engine != EraEngine::Wal) {
            return Err(Error::Busy {
                what: "another process is about to go on with the recording in WAL mode".to_owned(),
                holder: None,
                waited: Duration::ZERO,
            });
        }
        if !self.wal.is_current() {
            self.wal = WalFile::open(&self.path, self.page_size)?;
        }
        Ok(())
    }

    /// Freezes a WAL that has at least one frame: then no mark ever stands at frame 0.
    pub(super) fn freeze_with_a_frame(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            if self.index.watch().settled_header().is_none_or(|header| header.max_frame == 0) {
                self.found_bare = self.bare_salt().or(self.found_bare);
                self.write_first_frame()?;
            }
            self.freeze(self.timeout)?;
            if !self.wal.is_current() {
                self.wal = WalFile::open(&self.path, self.page_size)?;
            }
            if self.index.watch().settled_header().is_some_and(|header| header.max_frame > 0) {
                return Ok(());
            }
            self.thaw();
            if started.elapsed() > self.timeout {
                return Err(Error::Busy {
                    what: "somebody restarts the WAL again and again".to_owned(),
                    holder: None,
                    waited: self.timeout,
                });
            }
        }
    }

    /// Has SQLite write page 1 as it is.
    pub(super) fn write_first_frame(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        let connection = open_connection(self.api, &self.path, self.timeout);
        let write = |connection: Connection| {
            if self.synchronous == Synchronous::Off {
                connection.execute(c"PRAGMA synchronous=OFF")?;
            }
            connection.execute(c"PRAGMA wal_autocheckpoint=0")?;
            connection.execute(c"BEGIN IMMEDIATE")?;
            let version = connection.execute(c"PRAGMA user_version")?.unwrap_or_default();
            let version: i64 = version.parse().unwrap_or(0);
            let same = CString::new(format!("PRAGMA user_version={version}")).unwrap_or_default();
            connection.execute(&same)?;
            connection.execute(c"COMMIT")
        };
        connection.and_then(write).map(|_| ()).map_err(|code| match code & 0xff {
            SQLITE_BUSY => Error::Busy {
                what: "cannot write the WAL's first frame, since another connection is in a transaction"
                    .to_owned(),
                holder: holder_of(&self.path, WRITE),
                waited: started.elapsed(),
            },
            _ => Error::sqlite("write the WAL's first frame")(code),
        })
    }

    pub(super) fn take_over(&mut self) -> Result<(), Error> {
        self.catch_up()?;
        self.attempted = 0;
        let header = self.header()?;
        self.learn(&header)?;
        let stopped = self.store.broken(self.object).is_some();
        let ours = locked(&self.history).timeline.era().is_some_and(|era| era.engine == EraEngine::Wal);
        let kept = if ours && !stopped { self.compare_anchor(&header)? } else { Kept::Lost };
        self.found_lost = kept == Kept::Lost;
        match kept {
            Kept::SameWal { back_filled, attempted, interrupted }
                if self.resume(&header, back_filled, attempted)? =>
            {
                if let Some(frame) = interrupted {
                    self.drop_anchor(frame)?;
                }
            }
            Kept::NewWal if self.resume_below(&header)? => {}
            _ => self.begin_era(&header)?,
        }
        self.store.confirm_boot(self.object);
        // A rewind or checkpoint that was killed before it recorded its run has announced one that will never come.
        self.registers().announce_run(self.runs.stamp());
        Ok(())
    }

    /// Notes the counters in page 1, and the number of the WAL's generation.
    pub(super) fn learn(&mut self, header: &IndexHeader) -> Result<(), Error> {
        if header.page_size() != self.page_size {
            return Err(Error::WalDamaged {
                what: format!(
                    "its pages have {} bytes, the database's {}",
                    header.page_size(),
                    self.page_size
                ),
            });
        }
        self.index.reach(&mut self.file, header.max_frame)?;
        let one = self.page_one(header.max_frame)?;
        self.note_numbers(one.counter, one.cookie);
        self.sequence = WalHeader::decode(&self.wal.read_header()?).map_or(0, |(header, _)| header.sequence);
        Ok(())
    }

    /// The WAL is the one we know. `false`: it is shorter than what is recorded.
    fn resume(&mut self, header: &IndexHeader, back_filled: u32, attempted: u32) -> Result<bool, Error> {
        self.attempted = attempted;
        // A recovery by SQLite forgets how much is back-filled.
        self.keep_back_filled(back_filled)?;
        if !self.finish_intent(header)? {
            return Ok(false);
        }
        // That may have appended a frame.
        let header = &self.header()?;
        let frame = self.runs.frame_of(self.tailed, header.max_frame);
        let Some(frame) = frame.filter(|frame| *frame > 0) else { return Ok(false) };
        let found = self.wal.frame_header(frame)?;
        if found.salt != header.salt || u64::from(found.commit) != self.extent {
            return Ok(false);
        }
        self.store.raise_last_lsn(self.object, self.tailed);
        self.drain_to(header, u32::MAX)?;
        self.anchor_frame = self.runs.first_frame().max(1);
        Ok(true)
    }

    /// Everything in this WAL came after what we know, which is in the database file.
    pub(super) fn resume_below(&mut self, header: &IndexHeader) -> Result<bool, Error> {
        if self.index.watch().back_filled() > 0 {
            return Ok(false);
        }
        let first = self.wal.frame_header(1)?;
        let mut ours = vec![0; self.page_size as usize];
        let mut below = ours.clone();
        self.wal.read_page(1, &mut ours)?;
        self.read_below(1, &mut below)?;
        file::forget_moving(&mut ours);
        file::forget_moving(&mut below);
        let same = first.page == 1 && u64::from(first.commit) == self.extent && ours == below;
        // If the first transaction changed nothing, its frame stands for the last moment itself, which is hot then.
        let frame = u32::from(same);
        let checksum = if same { first.checksum } else { Checksum::default() };
        let note = self.run_note(frame, checksum, header.salt);
        self.record_run(self.tailed, &note)?;
        self.store.raise_last_lsn(self.object, self.tailed);
        self.drain_to(header, u32::MAX)?;
        self.drop_anchor(1)?;
        Ok(true)
    }

    /// History begins here. What was before is lost, if there was anything.
    pub(crate) fn begin_era(&mut self, header: &IndexHeader) -> Result<(), Error> {
        let mut header = *header;
        // What others have committed shall outlast them, and us. While somebody writes there is no way.
        if let Some(frame) = self.first_unchained(&header)? {
            match self.chain(frame, Duration::ZERO) {
                Ok(chained) => header = chained,
                Err(Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let pages = u64::from(header.pages);
        let first = {
            let mut history = locked(&self.history);
            let seen = history.timeline.highest().max(self.store.last_lsn(self.object));
            let before = history.timeline.era().is_some() || seen > Lsn::ORIGIN;
            history.begin_era(EraEngine::Wal, Extent::new(pages), before)?
        };
        fault::place("wal attach: era begun");
        // What is in the WAL but not in the database file yet is from before the era, too.
        let mut newest = BTreeMap::new();
        for frame in self.index.watch().back_filled() + 1..=header.max_frame {
            newest.insert(self.index.page(frame)?, frame);
        }
        let mut image = vec![0; self.page_size as usize];
        for (page, frame) in newest {
            if page > 0 && page <= header.pages {
                self.wal.read_page(frame, &mut image)?;
                self.store.append(self.head(Kind::Base, u64::from(page), first), &[&image])?;
            }
        }
        (self.tailed, self.extent) = (first, pages);
        self.runs = Runs::default();
        let note = self.run_note(header.max_frame, header.checksum, header.salt);
        self.record_run(first, &note)?;
        self.drop_anchor(header.max_frame)?;
        self.store.clear_broken(self.object);
        locked(&self.history).catch_up()?;
        Ok(())
    }

    /// Waits, at most for the grain of the file system's clock, until an anchor is worth something.
    pub(crate) fn wait_for_anchor(&mut self) -> Result<(), Error> {
        for _ in 0..10 {
            self.settle_anchor()?;
            if !self.anchor_pending {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

fn connect(api: SqliteApi, path: &Path, options: &OpenOptions) -> Result<Connection, Error> {
    let read = open_connection(api, path, options.timeout)
        .and_then(|connection| connection.execute(TOUCH).map(|_| connection));
    read.map_err(Error::sqlite("read the database"))
}

/// A connection past our own shim: what it does is not the application's.
pub(crate) fn open_connection(api: SqliteApi, path: &Path, timeout: Duration) -> Result<Connection, i32> {
    Connection::open(api, path, shim::real_vfs(&api).map(HostVfs::name), timeout)
}
