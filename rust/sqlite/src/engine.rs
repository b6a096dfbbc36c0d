//! What the facade asks of an engine; the two engines are `wal` and `rollback`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dbrewind_core::{
    AppendError, Engine as EraEngine, Extent, Key, Lsn, ObjectId, Plan, Store, Timeline, TimelineError,
    Timestamp,
};

use crate::error::Error;
use crate::exclusion::Exclusion;
use crate::rewound::Method;
use crate::writers::{Connected, Told};

/// The records of one database, shared by the facade, the engine and the engine's threads.
///
/// Lock order: an engine's own mutex before this one, never the other way round.
#[derive(Debug)]
pub(crate) struct History {
    /// Where the records are.
    pub(crate) store: Store,
    /// The database in it.
    pub(crate) object: ObjectId,
    /// Size of its keys, in bytes.
    pub(crate) block: u32,
    /// What was read of them so far.
    pub(crate) timeline: Timeline,
    /// What those go by who read the database file without the engine's locks.
    pub(crate) exclusion: Arc<Exclusion>,
    /// Who had the database open when commits were copied, if somebody wants to know.
    pub(crate) connected: Arc<Connected>,
    /// Who committed, as far as that was asked for.
    pub(crate) told: Told,
}

impl History {
    /// Nothing is read yet.
    pub(crate) fn new(store: Store, object: ObjectId, block: u32) -> Self {
        Self {
            store,
            object,
            block,
            timeline: Timeline::lazy(object),
            exclusion: Arc::default(),
            connected: Arc::default(),
            told: Told::default(),
        }
    }

    /// Reads what was appended since the last call.
    pub(crate) fn catch_up(&mut self) -> Result<(), TimelineError> {
        self.timeline.catch_up(&self.store)
    }

    /// The same; answers whether every record that was committed before the call has been read.
    pub(crate) fn timeline_whole(&mut self) -> Result<bool, TimelineError> {
        self.timeline.catch_up_whole(&self.store)
    }

    /// As [`catch_up`](Self::catch_up), and refuses when something stays hidden for so long behind the record of a process that
    /// was stopped: for whoever is about to change the database, or to decide by what it was.
    pub(crate) fn catch_up_whole(&mut self, within: Duration) -> Result<(), Error> {
        let started = Instant::now();
        while !self.timeline_whole()? {
            if started.elapsed() >= within {
                return Err(Error::Busy {
                    what: "a process was stopped in the middle of a record, or waits there for its disk, and what was \
                           recorded since will show when it goes on"
                        .to_owned(),
                    holder: None,
                    waited: started.elapsed(),
                });
            }
        }
        Ok(())
    }

    /// As [`catch_up_whole`](Self::catch_up_whole), with what was passed over before of all that the way to a moment needs.
    pub(crate) fn catch_up_for(&mut self, target: Lsn, within: Duration) -> Result<(), Error> {
        loop {
            self.catch_up_whole(within)?;
            let now = self.timeline.last();
            if !self.timeline.lacks(now, target) {
                return Ok(());
            }
            self.timeline.read_back_for(&self.store, now, target)?;
        }
    }

    /// Reads what was appended since the last call, and what was passed over before of what tells of a moment (but for its images).
    pub(crate) fn know(&mut self, lsn: Lsn) -> Result<(), TimelineError> {
        self.catch_up()?;
        match self.timeline.knows(lsn) {
            true => Ok(()),
            false => self.timeline.read_back(&self.store, lsn),
        }
    }

    /// As [`know`](Self::know), with the images.
    pub(crate) fn see(&mut self, lsn: Lsn) -> Result<(), TimelineError> {
        self.catch_up()?;
        self.timeline.read_back(&self.store, lsn)
    }

    /// What must be written to make one moment of another.
    pub(crate) fn plan(&mut self, now: Lsn, target: Lsn) -> Result<Plan, Error> {
        self.timeline.read_back_for(&self.store, now, target)?;
        Ok(self.timeline.plan(now, target)?)
    }

    /// The time now: not before that of the newest moment.
    pub(crate) fn time(&self) -> Timestamp {
        self.store.time(self.object)
    }

    /// The same for a mark: later than that of any moment or mark before it, whatever the clock does, since marks of one moment are told
    /// apart by it.
    pub(crate) fn next_time(&self) -> Timestamp {
        self.store.next_time(self.object)
    }

    /// When a moment was the newest one for the first time. Of a marked one that was evicted: when it was marked.
    pub(crate) fn time_of(&self, lsn: Lsn) -> Option<Timestamp> {
        let marks = || self.timeline.marks().filter(|mark| mark.lsn == lsn).map(|mark| mark.time).min();
        self.timeline.time_of(lsn).or_else(marks)
    }

    /// Begins an era, above all that came before. The file, whose length this is, or the file with what is recorded next,
    /// holds the state at its LSN. `broken`: something may have been written unrecorded. Under locks that keep writers or
    /// back-fills out, and the object's.
    pub(crate) fn begin_era(
        &mut self,
        engine: EraEngine,
        extent: Extent,
        broken: bool,
    ) -> Result<Lsn, Error> {
        self.catch_up()?;
        let lsn = next_lsn(self.timeline.highest().max(self.store.last_lsn(self.object)))?;
        self.store.append_era(self.object, (engine, lsn), (extent, broken), &[])?;
        Ok(lsn)
    }

    /// The LSN of an era that is about to begin without an interruption, announced.
    pub(crate) fn boundary_lsn(&mut self) -> Result<Lsn, Error> {
        self.catch_up()?;
        let lsn = next_lsn(self.timeline.highest().max(self.store.last_lsn(self.object)))?;
        self.store.raise_last_lsn(self.object, lsn);
        Ok(lsn)
    }

    /// Says where the present era begins, for those who ask whether another one is due, if nobody has: the control file is new, or a
    /// version that did not say so wrote the store.
    pub(crate) fn learn_era(&mut self) -> Result<(), Error> {
        self.catch_up()?;
        if let (false, Some(era), Some(at)) =
            (self.store.knows_era(self.object), self.timeline.era(), self.timeline.era_at())
        {
            self.store.note_era(self.object, at, era.first, era.time);
        }
        Ok(())
    }
}

/// Begins an era without an interruption, together with the notes without which it could not go on. The LSN is announced. `bases`: see
/// [`Store::append_era_on`].
pub(crate) fn append_boundary(
    store: &Store,
    object: ObjectId,
    (engine, lsn, extent): (EraEngine, Lsn, Extent),
    bases: &[(Key, Vec<u8>)],
    notes: &[(u64, Vec<u8>)],
) -> Result<(), AppendError> {
    store.append_era_on(object, (engine, lsn), (extent, false), bases, notes)
}

/// The LSN after this one.
pub(crate) fn next_lsn(lsn: Lsn) -> Result<Lsn, Error> {
    lsn.next().ok_or_else(|| Error::internal("the LSNs are used up"))
}

/// See [`History`].
pub(crate) type SharedHistory = Arc<Mutex<History>>;

/// Locks the history. A panic elsewhere does not spoil it: it is rebuilt from the store at each catch-up.
pub(crate) fn locked(history: &SharedHistory) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The family of journal modes a database is recorded in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JournalMode {
    /// `WAL`.
    Wal,
    /// `DELETE`, `TRUNCATE`, `PERSIST`, `MEMORY` or `OFF`.
    Rollback,
}

/// The present moment, as a mark would name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    /// The newest commit or rewind.
    pub(crate) lsn: Lsn,
    /// Length of the database, in pages.
    pub(crate) extent: Extent,
    /// The adapter's bytes of the MARK record.
    pub(crate) note: Vec<u8>,
}

/// What an engine's rewind did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// The moment just before.
    pub(crate) undo: Lsn,
    /// Pages written.
    pub(crate) pages: u64,
    /// How.
    pub(crate) method: Method,
}

/// Records one database in one family of journal modes and rewinds it.
pub(crate) trait Engine: Send {
    /// The family of journal modes it records.
    fn journal(&self) -> JournalMode;

    /// Whether the database seems to be in another family by now, which another engine records.
    fn left(&mut self) -> bool {
        false
    }

    /// Whether somebody wrote unrecorded since the newest recorded change, as far as that shows without waiting for anybody. No
    /// moment can be gone to then.
    fn bypassed(&mut self) -> bool {
        false
    }

    /// Whether the file tells, without a lock, that somebody wrote unrecorded. `false`: it does not tell so now.
    fn shows_unrecorded(&mut self) -> bool {
        false
    }

    /// Whether nothing is recorded since the store had no room when it was to begin. A call that needs a recording tries again.
    fn waits_for_room(&mut self) -> bool {
        false
    }

    /// Begins an era, if one is wanted so that what is before it can be evicted, and if nobody is in the way.
    fn make_way(&mut self) -> Result<(), Error>;

    /// An error when another file is at the path by now, or none.
    fn check_in_place(&mut self) -> Result<(), Error>;

    /// An error when recording has stopped, or somebody wrote unrecorded, as far as that shows without a lock.
    fn check_recorded(&mut self) -> Result<(), Error>;

    /// The present moment. A MARK record for it may be appended right after: from the record on, and for as
    /// long as no era breaks, the moment is reachable. `anew`: where somebody wrote unrecorded it is the first one of a new history;
    /// else `DBR001` then.
    fn moment(&mut self, anew: bool) -> Result<Moment, Error>;

    /// The LSN of the newest commit or rewind.
    fn now(&mut self) -> Result<Lsn, Error>;

    /// Whether this, once the newest moment, still is. `false` also where that takes a longer look, and where the database has
    /// [`left`](Self::left). Looks whether the file is in its place.
    fn is_at(&mut self, at: Lsn) -> Result<bool, Error> {
        Ok(self.now()? == at)
    }

    /// The same without a lock that somebody else has, and without a look at the path: by what is mapped, and in the rollback modes by the
    /// first 100 bytes of the file. `false` also where that does not tell.
    fn glance(&mut self, at: Lsn) -> bool;

    /// Whether it is certain that something was committed or rewound since this, once the newest moment: by what is mapped alone.
    fn has_passed(&mut self, at: Lsn) -> bool;

    /// Whether no connection is in a transaction that a rewind would wait for. `false` also where that takes a longer look.
    fn is_at_rest(&mut self) -> bool;

    /// A MARK record was appended for this moment.
    fn marked(&mut self, lsn: Lsn);

    /// Whether a rewind there takes the same time for any change.
    fn is_hot(&mut self, lsn: Lsn) -> bool;

    /// Brings the database to its state at `to`, which the facade has checked to be reachable.
    fn rewind(&mut self, to: Lsn, timeout: Duration) -> Result<Change, Error>;

    /// The hash of the present content: xxh3-128 over extent and pages, moving bytes as zeros.
    fn digest(&mut self, timeout: Duration) -> Result<[u8; 16], Error>;

    /// Waits until every commit up to now is in the store.
    fn drain(&mut self, timeout: Duration) -> Result<(), Error>;

    /// Stops recording and gives every lock back. The engine is not used after this.
    fn close(&mut self) -> Result<(), Error>;
}
