//! The history of one object, in memory: which moments there were, how they lead back to each other, and
//! where each key's images are.
//!
//! Nothing here is stored. A [`Timeline`] is made by reading the log's records in order, and goes on from
//! where it stopped; `rust/docs/history.md` says what the
//! records mean. [`Timeline::plan`] is what everything else is for.

mod cuts;
mod era;
mod error;
mod feed;
mod lazy;
mod marks;
mod named;
mod nearest;
mod path;
mod plan;
mod reach;
mod times;
mod touches;
mod value;
mod vantage;
mod window;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use crate::store::Cursor;
use crate::types::{Extent, Key, Location, Lsn, ObjectId, Timestamp};

pub use era::Era;
use era::EraLog;
pub use error::TimelineError;
pub use marks::MarkEntry;
use marks::Marks;
pub use named::Unnamed;
pub use plan::{Plan, PlanError};
pub use reach::Unreachable;
pub use value::Source;
pub use vantage::Vantage;

use crate::format::Engine;

/// A rewind that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RewindEntry {
    /// Its own moment, whose state is the target's.
    pub lsn: Lsn,
    /// The moment it led to.
    pub target: Lsn,
    /// The moment it left.
    pub from: Lsn,
    /// When it happened.
    pub time: Timestamp,
    /// How many keys the object has at the target.
    pub extent: Extent,
    /// The adapter's bytes.
    pub note: Box<[u8]>,
}

/// A note of the adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteEntry {
    /// The record's LSN; its meaning is the adapter's.
    pub lsn: Lsn,
    /// The record.
    pub at: Location,
    /// The adapter's bytes.
    pub body: Box<[u8]>,
}

/// The history of one object, read from the log's records.
///
/// Holds about 24 bytes an image, 60 a key and 24 a commit. Marks, rewinds and notes are held whole.
///
/// ```
/// use dbrewind_core::{
///     CommitBody, Engine, Extent, Head, Key, Kind, Lsn, Store, StoreOptions, Timeline, Timestamp,
/// };
///
/// # let folder = tempfile::tempdir()?;
/// let store = Store::open(&folder.path().join("app.db-rewind"), &StoreOptions::default())?;
/// let object = store.object("/srv/app.db", 4096)?;
/// store.append_era(object, (Engine::Wal, Lsn::new(1)), (Extent::new(3), false), &[])?;
/// let extent = Extent::new(3);
/// for (lsn, key) in [(2, 1), (3, 2)] {
///     store.append(Head::new(Kind::After, object, Key::new(key), Lsn::new(lsn)), &[b"a page"])?;
///     let commit = CommitBody { time: Timestamp::now(), extent };
///     store.append(Head::new(Kind::Commit, object, Key::new(0), Lsn::new(lsn)), &[&commit.encode()])?;
/// }
///
/// let mut history = Timeline::new(object);
/// history.catch_up(&store)?;
/// let plan = history.plan(Lsn::new(3), Lsn::new(2))?; // what undoes the last commit
/// assert_eq!(plan.items.iter().map(|(key, _)| key.get()).collect::<Vec<_>>(), [2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    object: ObjectId,
    cursor: Cursor,
    highest: Lsn,
    /// The same without after-images and cuts.
    highest_said: Lsn,
    /// Those that can be reached, ascending.
    eras: Vec<EraLog>,
    /// Those that can be reached, ascending.
    rewinds: Vec<RewindEntry>,
    /// The moments that rewinds came from.
    left: BTreeSet<Lsn>,
    marks: Marks,
    /// Of the present era, by tag.
    notes: HashMap<u64, Vec<NoteEntry>>,
    /// Where recording began again after the newest interruption that was read, and when.
    interrupted: Option<(Lsn, Timestamp)>,
    /// Of all moments, also those that can no longer be reached.
    newest_time: Timestamp,
    /// The segment that the log began with when it was read last; 1 or less: it is whole.
    begins: u32,
    /// The same when the first record was read.
    read_from: u32,
    /// Of sealed segments below this one only digests were read; 0: there are none. `None`: to be decided at the first reading.
    whole_from: Option<u32>,
}

impl Timeline {
    /// An empty history, before the first record is read.
    #[must_use]
    pub fn new(object: ObjectId) -> Self {
        Self::empty(object, Some(0))
    }

    /// As [`new`](Self::new), but of what is sealed little is read at first: see [`knows`](Self::knows).
    #[must_use]
    pub fn lazy(object: ObjectId) -> Self {
        Self::empty(object, None)
    }

    fn empty(object: ObjectId, whole_from: Option<u32>) -> Self {
        Self {
            object,
            cursor: Cursor::default(),
            highest: Lsn::ORIGIN,
            highest_said: Lsn::ORIGIN,
            eras: Vec::new(),
            rewinds: Vec::new(),
            left: BTreeSet::new(),
            marks: Marks::default(),
            notes: HashMap::new(),
            interrupted: None,
            newest_time: Timestamp::default(),
            begins: 1,
            read_from: 1,
            whole_from,
        }
    }

    /// The newest commit, rewind or beginning of an era: the state that the record says is there now.
    /// [`Lsn::ORIGIN`] before the first era.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.eras.last().map_or(Lsn::ORIGIN, |log| log.last().lsn)
    }

    /// The highest LSN in any record, committed or not. A new era takes one above it.
    #[must_use]
    pub fn highest(&self) -> Lsn {
        self.highest
    }

    /// The highest LSN in any record but after-images and cuts, which may be of a transaction that never committed: if this
    /// is not above [`last`](Self::last), nothing is said of what came after it, not even by a mark or a note.
    #[must_use]
    pub fn highest_said(&self) -> Lsn {
        self.highest_said
    }

    /// The largest time of all moments that were read.
    pub(super) fn newest_time(&self) -> Timestamp {
        self.newest_time
    }

    /// Where the present era's record is.
    #[must_use]
    pub fn era_at(&self) -> Option<Location> {
        self.eras.last().map(|log| log.at)
    }

    /// The present era, or `None` before the first.
    #[must_use]
    pub fn era(&self) -> Option<&Era> {
        self.eras.last().map(|log| &log.era)
    }

    /// How many keys the object had at the newest moment at or below an LSN; of a marked moment that is
    /// not recorded yet, what the mark says. `None` before all that can be reached.
    #[must_use]
    pub fn extent_at(&self, lsn: Lsn) -> Option<Extent> {
        if lsn > self.last()
            && let Some(mark) = self.marks.at(lsn)
        {
            return Some(mark.extent);
        }
        let place = self.place(lsn)?;
        if !self.knows(lsn) {
            return self.marks.at(lsn).map(|mark| mark.extent);
        }
        Some(self.era_log(place.era)?.floor(place.lsn).extent)
    }

    /// The marks that have not been dropped, in the order they were set. Lost ones are among them.
    pub fn marks(&self) -> impl Iterator<Item = &MarkEntry> {
        self.marks.iter()
    }

    /// The mark of this name, if it was not dropped. Of several set at once the first in the log counts.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<&MarkEntry> {
        self.marks.get(name)
    }

    /// How often a mark was set or dropped, as far as it was read: as long as this stays the same, so do their names. Nothing for
    /// another reader of the same log.
    #[must_use]
    pub fn mark_changes(&self) -> u64 {
        self.marks.changes()
    }

    /// Whether the record at this place has been read. One that was appended may have to wait: records in flight before
    /// it come first.
    #[must_use]
    pub fn has_read(&self, at: Location) -> bool {
        self.cursor.next() > at
    }

    /// Whether the mark in the record at this place does not count, since its name was taken by one before it.
    #[must_use]
    pub fn was_refused(&self, at: Location) -> bool {
        self.marks.was_refused(at)
    }

    /// The moment through which one is reached: the moment itself, or, if it is a marked one that was evicted, a later one whose
    /// state is the same.
    #[must_use]
    pub fn reached_by(&self, lsn: Lsn) -> Lsn {
        let first = self.first();
        if lsn >= first { lsn } else { self.marks.reached_by(lsn, first).unwrap_or(lsn) }
    }

    /// The newest rewind to a marked moment that was read.
    #[must_use]
    pub fn stand_in(&self, lsn: Lsn) -> Option<Lsn> {
        self.marks.reached_by(lsn, self.first())
    }

    /// The oldest moment that can be reached; none can before the first era.
    fn first(&self) -> Lsn {
        self.eras.first().map_or(Lsn::new(u64::MAX), |log| log.era.first)
    }

    /// The name of a mark that was probably meant by a name that no mark has.
    #[must_use]
    pub fn nearest_name(&self, name: &str) -> Option<&str> {
        self.marks.nearest_name(name)
    }

    /// The names of all marks, the newest first.
    #[must_use]
    pub fn newest_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.marks.iter().map(|mark| mark.name.as_str().to_owned()).collect();
        names.reverse();
        names
    }

    /// The rewinds that can be reached, oldest first.
    #[must_use]
    pub fn rewinds(&self) -> &[RewindEntry] {
        &self.rewinds
    }

    /// The rewind with this LSN.
    fn rewind_at(&self, lsn: Lsn) -> Option<&RewindEntry> {
        let place = self.rewinds.binary_search_by_key(&lsn, |rewind| rewind.lsn).ok()?;
        self.rewinds.get(place)
    }

    /// The present era's notes with a tag, in log order.
    #[must_use]
    pub fn notes(&self, tag: u64) -> &[NoteEntry] {
        self.notes.get(&tag).map_or(&[], Vec::as_slice)
    }

    /// The after-image with the highest LSN, if that is above [`Timeline::last`]: its transaction has no `COMMIT` yet, and
    /// perhaps never will. In an era of before-images there is none.
    #[must_use]
    pub fn ahead(&self) -> Option<Location> {
        let (lsn, at) = self.eras.last().filter(|log| log.era.engine == Engine::Wal)?.touches.last()?;
        (lsn > self.last()).then_some(at)
    }

    /// Whether a checkpoint of the present era of after-images may overwrite the key where it was before
    /// the era: the store has that content (a `BASE`), or there was none.
    ///
    /// An `AFTER` is not enough: it does not tell what the key held at the moments before it. A lazy timeline may not know of a
    /// `BASE` before [`read_back_era`](Self::read_back_era).
    #[must_use]
    pub fn in_store(&self, key: Key) -> bool {
        self.eras.last().is_some_and(|log| {
            log.era.engine == Engine::Wal && (key.get() > log.era.extent.get() || log.base(key).is_some())
        })
    }

    /// Whether the present era of before-images has one of the key with an LSN above this one. Then the
    /// content at that LSN is safe and need not be captured again.
    ///
    /// Ask with the newest of: the newest mark, the newest rewind, the beginning of the era. A lazy timeline may not know of
    /// one before [`read_back_era`](Self::read_back_era).
    #[must_use]
    pub fn captured_since(&self, key: Key, lsn: Lsn) -> bool {
        self.eras
            .last()
            .is_some_and(|log| log.era.engine == Engine::Rollback && log.touches.any_above(key, lsn))
    }
}
