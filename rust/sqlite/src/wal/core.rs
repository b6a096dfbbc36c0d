//! What the engine's calls and its tail share: the handle on the database, the wal-index, and how far the
//! store has come. Everything here runs under one mutex.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dbrewind_core::{Head, HolderLock, Key, Kind, Lsn, Need, ObjectId, ObjectLock, Store};

use super::ahead::Beyond;
use super::file::WalFile;
use super::index::{IndexHeader, WalIndex};
use super::notes::RunNote;
use super::runs::Runs;
use crate::checksum::Salt;
use crate::engine::{SharedHistory, locked};
use crate::error::Error;
use crate::exclusion::Exclusion;
use crate::ffi::{HostFile, SqliteApi};
use crate::file::FileState;
use crate::file::PageOne;
use crate::notes::tag;
use crate::options::Synchronous;
use crate::registers::Registers;

/// How long the tail waits at most for a record in flight that hides what comes after it, and who has WRITE, also for room: calls wait for the tail,
/// and every writer for WRITE.
pub(super) const HIDDEN: Duration = Duration::from_secs(1);

/// What our locks guarantee while they are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frozen {
    /// The generation that cannot be restarted.
    pub(crate) salt: Salt,
    /// Frames in the database file; no more will be but by us.
    pub(crate) back_filled: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) api: SqliteApi,
    pub(crate) path: PathBuf,
    pub(crate) file: HostFile,
    pub(crate) index: WalIndex,
    pub(crate) wal: WalFile,
    pub(crate) page_size: u32,
    pub(crate) history: SharedHistory,
    pub(crate) store: Store,
    pub(crate) object: ObjectId,
    /// Told what the freeze is worth to those who read the database file without our locks.
    pub(crate) exclusion: Arc<Exclusion>,
    pub(crate) runs: Runs,
    /// Number of the WAL's generation, from its header.
    pub(crate) sequence: u32,
    /// The holder role and the freeze come and go together, but for moments inside one call.
    pub(crate) holder: Option<HolderLock>,
    pub(crate) frozen: Option<Frozen>,
    /// Frames that a back-fill of ours may have brought into the database file, whether it came to its end or not.
    pub(crate) attempted: u32,
    /// Every commit up to here is in the store.
    pub(crate) tailed: Lsn,
    /// Length of the database at that moment, in pages.
    pub(crate) extent: u64,
    /// A schema cookie that a rewind gave, and the one that the same schema had first.
    pub(crate) first_cookies: HashMap<u32, u32>,
    pub(crate) synchronous: Synchronous,
    pub(crate) wal_limit: u64,
    pub(crate) timeout: Duration,
    /// An anchor was observed too early to be relied on.
    pub(crate) anchor_pending: bool,
    /// The database file when its times were last known to tell whether anybody writes to it later.
    pub(super) settled: Option<FileState>,
    /// The frame that the newest anchor names.
    pub(crate) anchor_frame: u32,
    /// The salts of the WAL that was found without frames when we began.
    pub(crate) found_bare: Option<Salt>,
    pub(crate) beyond: Beyond,
    /// A failure left the WAL or our locks as a kill would have: at the end of the call the holder role is given back.
    pub(crate) adrift: bool,
    /// When it was found that there is no room to begin; nothing is recorded since.
    pub(super) without_room: Option<Instant>,
    /// It was found then, too, that what is recorded cannot be reached any more.
    pub(super) found_lost: bool,
    /// What is said of the WAL and of the database file, and what must be kept of that, may take of what is left to evictions.
    pub(super) in_need: bool,
    /// When the last rewind of this handle was done.
    pub(super) rewound: Option<Instant>,
    /// WRITE is held.
    pub(crate) writing: bool,
    /// It is the tail's turn: nobody has said how long to wait.
    pub(super) by_tail: bool,
    /// How long the present call may wait, if it said so itself.
    pub(super) asked: Option<Duration>,
    /// Reused by reads of frames.
    pub(crate) buffer: Vec<u8>,
}

/// Locks the core. A panic elsewhere leaves at worst a lock too many, which drop releases.
pub(crate) fn locked_core(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// A record of this object.
    pub(crate) fn head(&self, kind: Kind, key: u64, lsn: Lsn) -> Head {
        Head::new(kind, self.object, Key::new(key), lsn)
    }

    pub(crate) fn registers(&self) -> Registers<'_> {
        Registers::new(&self.store, self.object)
    }

    /// Appends what tells how the database and its WAL are, or keeps what is about to be overwritten.
    pub(super) fn keep(&self, head: Head, body: &[u8]) -> Result<(), Error> {
        match self.in_need {
            true => self.store.append_in_need(Need::Keep, head, &[body])?,
            false => self.store.append(head, &[body])?,
        };
        Ok(())
    }

    /// The object's lock: one rewind, drain or checkpoint at a time, in all processes.
    pub(crate) fn lock_object(&self, timeout: Duration) -> Result<ObjectLock, Error> {
        self.store.lock_object(self.object, timeout).map_err(|error| match error {
            dbrewind_core::LockError::Busy { waited, .. } => Error::Busy {
                what: "another recording of this database is in the middle of a rewind".to_owned(),
                holder: None,
                waited,
            },
            other => other.into(),
        })
    }

    /// How long a record in flight is waited for that hides what comes after it: of somebody who was stopped, or whose disk is slow.
    pub(super) fn patience(&self) -> Duration {
        let said = self.asked.unwrap_or(self.timeout);
        if self.by_tail || self.writing { said.min(HIDDEN) } else { said }
    }

    /// Takes what other processes recorded, and what we did, into the timeline; and the runs from it.
    pub(crate) fn catch_up(&mut self) -> Result<(), Error> {
        let mut history = locked(&self.history);
        history.catch_up_whole(self.patience())?;
        let timeline = &history.timeline;
        let mut runs = Runs::default();
        for note in timeline.notes(tag::RUN) {
            let run = RunNote::decode(&note.body);
            runs.push(note.lsn, &run.ok_or_else(|| damaged_note("run", note.lsn))?);
        }
        self.runs = runs;
        self.tailed = timeline.last();
        self.extent = timeline.extent_at(self.tailed).map_or(0, dbrewind_core::Extent::get);
        Ok(())
    }

    /// Catches up if somebody else appended, or published a run.
    pub(crate) fn refresh(&mut self) -> Result<(), Error> {
        let run = self.registers().newest_run();
        if self.store.last_lsn(self.object) != self.tailed || run != self.runs.stamp() {
            self.catch_up()?;
        }
        Ok(())
    }

    /// As [`Core::refresh`], and refuses when a run was announced that nobody recorded: LSNs of frames are not known
    /// then. The object's lock is held, so that its process has died, or failed.
    pub(crate) fn refresh_runs(&mut self) -> Result<(), Error> {
        self.refresh()?;
        if self.registers().newest_run() == self.runs.stamp() {
            return Ok(());
        }
        Err(Error::NotAttached { what: "a rewind by another process was killed".to_owned() })
    }

    /// Reads the 100 bytes of page 1 that matter, as of a frame.
    pub(crate) fn page_one(&mut self, limit: u32) -> Result<PageOne, Error> {
        let mut bytes = [0; PageOne::LEN];
        self.read_start(1, limit, &mut bytes)?;
        PageOne::read(&bytes).ok_or_else(|| Error::internal("page 1 has 100 bytes"))
    }

    /// Reads the beginning of a page (or all of it) as of a frame: its newest frame up to there, or the
    /// database file.
    pub(crate) fn read_start(&mut self, page: u32, limit: u32, out: &mut [u8]) -> Result<(), Error> {
        self.index.reach(&mut self.file, limit)?;
        match self.index.find(page, limit)? {
            Some(frame) => self.wal.read_page(frame, out),
            None => self.read_below(page, out),
        }
    }

    /// Reads a page, or its beginning, from the database file, below the WAL. Past its end are zeros.
    pub(crate) fn read_below(&mut self, page: u32, out: &mut [u8]) -> Result<(), Error> {
        let offset = u64::from(page.saturating_sub(1)) * u64::from(self.page_size);
        match self.file.read(out, offset) {
            Ok(()) | Err(crate::ffi::VfsError::ShortRead) => Ok(()),
            Err(error) => Err(Error::vfs("read the database")(error)),
        }
    }

    /// The frame in the present WAL at whose commit the database was in the state of `lsn`.
    ///
    /// That is the moment's own frame, or that of another moment with the same state.
    pub(crate) fn hot_frame(&self, lsn: Lsn, max_frame: u32) -> Option<u32> {
        let history = locked(&self.history);
        let root = history.timeline.canonical(lsn);
        let same = self.runs.starts().filter(|start| history.timeline.canonical(*start) == root);
        // The wal-index forgets it in a recovery, and does not know of a back-fill that failed.
        let frozen = self.frozen.map_or(0, |frozen| frozen.back_filled);
        let back_filled = self.index.watch().back_filled().max(frozen).max(self.attempted);
        [lsn, root, self.tailed]
            .into_iter()
            .chain(history.timeline.stand_in(lsn))
            .filter(|moment| history.timeline.canonical(*moment) == root)
            .chain(same)
            .filter_map(|moment| self.runs.frame_of(moment, max_frame))
            .find(|frame| *frame >= 1 && *frame >= back_filled)
    }

    /// Refuses to go on when the file at the path is another one by now.
    pub(crate) fn check_in_place(&mut self) -> Result<(), Error> {
        match self.file.has_moved().map_err(Error::vfs("look whether the database was moved"))? {
            true => Err(Error::FileReplaced { path: self.path.clone() }),
            false => Ok(()),
        }
    }

    /// The same, and when recording has stopped.
    pub(crate) fn check_recording(&mut self) -> Result<(), Error> {
        self.check_in_place()?;
        self.store.broken(self.object).map_or(Ok(()), |code| Err(Error::stopped(&self.store, code)))
    }

    /// The LSN of the WAL's end.
    pub(crate) fn lsn_now(&self, header: &IndexHeader) -> Result<Lsn, Error> {
        if header.salt != self.runs.salt() {
            return Err(Error::NotAttached { what: "the WAL was restarted by somebody else".to_owned() });
        }
        self.runs.lsn_of(header.max_frame).ok_or_else(|| Error::NotAttached {
            what: format!("frame {} is older than the recording", header.max_frame),
        })
    }
}

pub(crate) fn damaged_note(what: &str, lsn: Lsn) -> Error {
    Error::Read(dbrewind_core::ReadError::Damaged {
        what: format!("the {what} note of LSN {lsn} is not what its tag says; nothing was changed"),
    })
}
