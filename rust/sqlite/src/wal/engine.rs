//! The engine as the facade sees it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbrewind_core::{Extent, Lsn};

use super::adopt::NotAdopted;
use super::core::{Core, locked_core};
use super::locks::WRITE;
use super::notes::RunNote;
use super::tail::Tail;
use crate::engine::{Change, Engine, JournalMode, Moment, SharedHistory, locked};
use crate::error::Error;
use crate::ffi::SqliteApi;
use crate::handover::Handover;
use crate::options::{OpenOptions, Synchronous};

/// Records a database in WAL mode.
#[derive(Debug)]
pub(crate) struct WalEngine {
    // Before the core, so that the thread has ended when the wal-index is unmapped.
    tail: Tail,
    core: Arc<Mutex<Core>>,
}

impl WalEngine {
    /// Begins to record. The database is in WAL mode.
    pub(crate) fn open(
        api: SqliteApi,
        path: &Path,
        page_size: u32,
        history: SharedHistory,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let mut core = Core::open(api, path, page_size, history, options)?;
        match core.attach() {
            // Marks can be listed, and dropped, which may make room.
            Err(_) if core.without_room.is_some() => {}
            attached => attached?,
        }
        Self::start(core)
    }

    /// Goes on with a history that comes from a rollback mode.
    ///
    /// # Errors
    /// With the handover, if it still keeps everything as it is.
    pub(crate) fn adopt(
        api: SqliteApi,
        path: &Path,
        page_size: u32,
        history: SharedHistory,
        options: &OpenOptions,
        handover: Handover,
    ) -> Result<Self, Box<NotAdopted>> {
        let core = Core::adopt(api, path, page_size, history, options, handover)?;
        Self::start(core).map_err(|error| NotAdopted::new(error, None))
    }

    fn start(core: Core) -> Result<Self, Error> {
        let watch = core.index.watch();
        let core = Arc::new(Mutex::new(core));
        let tail = Tail::start(Arc::clone(&core), watch)?;
        Ok(Self { tail, core })
    }
}

impl Core {
    /// Runs `work` as the holder, or beside one. When the other holder died in the meantime, once more in its place.
    pub(super) fn attached<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.attach()?;
        match work(self) {
            Err(Error::NotAttached { .. }) if self.holder.is_none() => {
                self.attach()?;
                work(self)
            }
            other => other,
        }
    }

    /// The moment of the WAL's end, and the note a mark of it carries.
    pub(super) fn moment(&mut self) -> Result<Moment, Error> {
        self.check_recording()?;
        self.attached(Self::moment_attached)
    }

    /// Whether the WAL's end is at this moment, as far as the wal-index and the registers tell.
    fn glance(&self, at: Lsn) -> bool {
        let recorded = self.store.broken(self.object).is_none() && self.holder.is_some();
        let run = self.registers().newest_run();
        let Some(header) = self.index.watch().header().filter(|_| recorded && run == self.runs.stamp())
        else {
            return false;
        };
        self.registers().newest_run() == run
            && self.freeze_holds(&header)
            && self.lsn_now(&header).is_ok_and(|now| now == at)
    }

    /// Whether the WAL's end is certainly past this moment: by the wal-index, as far as the run is known that it is in.
    fn has_passed(&self, at: Lsn) -> bool {
        let run = self.registers().newest_run();
        let end = self.index.watch().header().filter(|_| run == self.runs.stamp());
        end.is_some_and(|header| self.lsn_now(&header).is_ok_and(|now| now > at))
    }

    fn moment_attached(&mut self) -> Result<Moment, Error> {
        for _ in 0..1000 {
            let run = self.registers().newest_run();
            if run != self.runs.stamp() {
                // Another process began a run: a rewind, or an era. It holds this lock until the run is recorded, or is dead.
                let _object = self.lock_object(self.timeout)?;
                self.refresh_runs()?;
                continue;
            }
            let header = self.header()?;
            if self.registers().newest_run() != run {
                continue;
            }
            if self.holder.is_some() && !self.freeze_holds(&header) {
                return Err(Error::NotAttached {
                    what: "the WAL was back-filled or restarted under our locks".to_owned(),
                });
            }
            let lsn = self.lsn_now(&header)?;
            let back_filled = self.index.watch().back_filled();
            let note = RunNote {
                frame: header.max_frame,
                salt: header.salt,
                checksum: header.checksum,
                sequence: 0,
                back_filled,
            };
            return Ok(Moment { lsn, extent: Extent::new(u64::from(header.pages)), note: note.encode() });
        }
        Err(Error::Busy {
            what: "rewinds follow each other too fast".to_owned(),
            holder: None,
            waited: Duration::ZERO,
        })
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.without_room.is_some() {
            // There may be some by now.
            self.attach()?;
        }
        if self.holder.is_none() {
            return Ok(());
        }
        self.in_need = true;
        let object = self.lock_object(self.timeout);
        let result = object.and_then(|_object| {
            self.last_steps()?;
            self.leave_bare_wal()
        });
        self.thaw();
        self.holder = None;
        result
    }

    fn last_steps(&mut self) -> Result<(), Error> {
        self.check_recording()?;
        self.refresh_runs()?;
        let header = self.header()?;
        self.drain_to(&header, u32::MAX)?;
        // Else the anchor would not be the last word.
        self.say_what_was_left_open()?;
        if self.back_fill(header.max_frame)? && !self.is_anchored_whole(&header)? {
            self.drop_anchor(header.max_frame)?;
        }
        self.wait_for_anchor()?;
        if self.synchronous != Synchronous::Off {
            self.store.sync_within(self.timeout)?;
        }
        Ok(())
    }
}

impl Engine for WalEngine {
    fn journal(&self) -> JournalMode {
        JournalMode::Wal
    }

    // Somebody else saw it first where nothing is recorded; else nobody writes unrecorded.
    fn bypassed(&mut self) -> bool {
        let mut core = locked_core(&self.core);
        core.without_room.is_some() && core.is_lost_by_now()
    }

    fn waits_for_room(&mut self) -> bool {
        locked_core(&self.core).without_room.is_some()
    }

    fn make_way(&mut self) -> Result<(), Error> {
        locked_core(&self.core).make_way()
    }

    fn check_in_place(&mut self) -> Result<(), Error> {
        locked_core(&self.core).check_in_place()
    }

    fn check_recorded(&mut self) -> Result<(), Error> {
        locked_core(&self.core).check_recording()
    }

    // Nobody writes unrecorded here while it lasts.
    fn moment(&mut self, _anew: bool) -> Result<Moment, Error> {
        locked_core(&self.core).moment()
    }

    fn now(&mut self) -> Result<Lsn, Error> {
        Ok(locked_core(&self.core).moment()?.lsn)
    }

    fn glance(&mut self, at: Lsn) -> bool {
        self.core.try_lock().is_ok_and(|core| core.glance(at))
    }

    fn has_passed(&mut self, at: Lsn) -> bool {
        self.core.try_lock().is_ok_and(|core| core.has_passed(at))
    }

    fn is_at_rest(&mut self) -> bool {
        let mut core = locked_core(&self.core);
        matches!(core.try_exclusive(WRITE, 1), Ok(true)) && core.release_exclusive(WRITE, 1).is_ok()
    }

    fn marked(&mut self, _lsn: Lsn) {}

    fn is_hot(&mut self, lsn: Lsn) -> bool {
        let core = locked_core(&self.core);
        let end = core.index.watch().settled_header().filter(|_| core.without_room.is_none());
        end.is_some_and(|header| core.hot_frame(lsn, header.max_frame).is_some())
    }

    fn rewind(&mut self, to: Lsn, timeout: Duration) -> Result<Change, Error> {
        locked_core(&self.core).attached(|core| core.rewind(to, timeout))
    }

    fn digest(&mut self, timeout: Duration) -> Result<[u8; 16], Error> {
        let mut core = locked_core(&self.core);
        core.attach()?;
        let _object = core.lock_object(timeout)?;
        core.digest()
    }

    fn drain(&mut self, timeout: Duration) -> Result<(), Error> {
        let mut core = locked_core(&self.core);
        core.attached(|core| core.drain_all(timeout))?;
        let caught_up = locked(&core.history).catch_up();
        Ok(caught_up?)
    }

    fn close(&mut self) -> Result<(), Error> {
        self.tail.stop();
        locked_core(&self.core).close()
    }
}
