//! When to begin a new era.

use std::time::Duration;

use super::need::Need;
use crate::error::AppendError;
use crate::format::control::{ERA_AT, ERA_LSN, ERA_TIME, hint};
use crate::format::{Engine, EraBody, Kind};
use crate::store::handle::Inner;
use crate::store::{Head, Location, Store};
use crate::sync::Ordering;
use crate::types::{Extent, Key, Lsn, ObjectId, Timestamp};

/// How many eras the window has, about.
const ERAS: u32 = 16;

/// How often the folder is looked at while the log grows by what an era may take, at least once in every segment.
const LOOKS: u64 = 16;

/// The target of a window that nobody has set.
const TARGET: Duration = Duration::from_secs(72 * 3600);

impl Store {
    /// The segment that the log begins with: 1 until something is evicted.
    #[must_use]
    pub fn first_segment(&self) -> u32 {
        self.inner.first()
    }

    /// How far back the store shall reach: 72 h, or what [`set_window`](Self::set_window) said last.
    #[must_use]
    pub fn window_target(&self) -> Duration {
        self.inner.target()
    }

    /// Sets how far back the store shall reach, in whole seconds, for all who have it open and who open it later. What is older is evicted; what
    /// is younger, too, when the store has no room left. Lost with the control file, as the limit is.
    pub fn set_window(&self, target: Duration) {
        if !self.inner.forked() {
            self.inner.control.set_window(target.as_secs().max(1));
        }
    }

    /// Says where the newest era of an object begins. `at`: its `ERA` record.
    pub fn note_era(&self, object: ObjectId, at: Location, lsn: Lsn, time: Timestamp) {
        let words = [
            (ERA_LSN, lsn.get()),
            (ERA_TIME, time.get()),
            (ERA_AT, hint::encode(u32::try_from(at.segment().get()).unwrap_or(0), at.offset())),
        ];
        for (index, to) in words {
            if let Some(word) = self.inner.word_of(object, index) {
                // Relaxed: three hints. Read in the midst of a change they make an era begin early or late.
                word.store(to, Ordering::Relaxed);
            }
        }
        self.inner.keeping.look();
    }

    /// Begins an era of an object, together with the notes (tag and body) without which it could not go on: all of it or nothing. The object has
    /// this many keys; `broken`: something may have been written unrecorded before. The LSN is above all that came before. It is announced.
    /// One that is not the object's first begins in a full store, too ([`Need::Keep`]).
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_era(
        &self,
        object: ObjectId,
        (engine, lsn): (Engine, Lsn),
        (extent, broken): (Extent, bool),
        notes: &[(u64, Vec<u8>)],
    ) -> Result<(), AppendError> {
        self.append_era_on(object, (engine, lsn), (extent, broken), &[], notes)
    }

    /// As [`append_era`](Self::append_era), of after-images: `bases` is the content that these keys have at its LSN, where it is
    /// not what stands below.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_era_on(
        &self,
        object: ObjectId,
        (engine, lsn): (Engine, Lsn),
        (extent, broken): (Extent, bool),
        bases: &[(Key, Vec<u8>)],
        notes: &[(u64, Vec<u8>)],
    ) -> Result<(), AppendError> {
        // First the number, then the record: a number without a record is a gap, which is harmless.
        self.raise_last_lsn(object, lsn);
        let body = EraBody { time: self.next_time(object), extent, broken };
        let encoded = body.encode();
        let mut records: Vec<(Head, &[u8])> =
            vec![(Head::new(Kind::Era, object, engine.key(), lsn), &encoded)];
        let images =
            bases.iter().map(|(key, image)| (Head::new(Kind::Base, object, *key, lsn), image.as_slice()));
        records.extend(images);
        let notes = notes
            .iter()
            .map(|(tag, note)| (Head::new(Kind::Note, object, Key::new(*tag), lsn), note.as_slice()));
        records.extend(notes);
        // What is before it may go once it is there: without it a full store would stay full. Images are not for that.
        let cures = bases.is_empty() && (broken || self.knows_era(object));
        let at = match cures {
            true => self.append_whole_in_need(Need::Keep, &records)?,
            false => self.append_whole(&records)?,
        };
        self.note_era(object, at, lsn, body.time);
        Ok(())
    }

    /// Whether it is known where the newest era of an object begins.
    #[must_use]
    pub fn knows_era(&self, object: ObjectId) -> bool {
        self.inner.era_word(object, ERA_AT) != 0
    }

    /// The LSN with which the newest era of an object began, as far as that is [known](Self::knows_era).
    #[must_use]
    pub fn era_began(&self, object: ObjectId) -> Lsn {
        Lsn::new(self.inner.era_word(object, ERA_LSN))
    }

    /// Whether it is time for a new era of an object, so that what is before it can be evicted some day: the present one has
    /// lasted a sixteenth of the window, or taken a sixteenth of the limit. Costs a few loads; a look at the folder when the log has
    /// moved on to another segment since the era began.
    #[must_use]
    pub fn era_is_due(&self, object: ObjectId) -> bool {
        self.is_due(object, false, 1)
    }

    /// As [`era_is_due`](Self::era_is_due), when the present era has taken twice of what it may, or others wait for its end.
    #[must_use]
    pub fn era_is_overdue(&self, object: ObjectId) -> bool {
        self.is_due(object, false, 2)
    }

    /// Bytes of the log that an era may take before another one is due.
    #[must_use]
    pub fn era_may_take(&self) -> u64 {
        self.inner.limit() / u64::from(ERAS)
    }

    /// As [`era_is_due`](Self::era_is_due), for those who ask at every commit: looks at the folder only when the log has become
    /// longer by some part of what an era may take.
    #[must_use]
    pub fn era_is_due_after_commit(&self, object: ObjectId) -> bool {
        self.is_due(object, true, 1)
    }

    /// `seldom`: see [`era_is_due_after_commit`](Self::era_is_due_after_commit). `times`: by how much the era is too long.
    fn is_due(&self, object: ObjectId, seldom: bool, times: u32) -> bool {
        let inner = &self.inner;
        if inner.forked() {
            return false;
        }
        let Some((segment, offset)) = hint::decode(inner.era_word(object, ERA_AT)) else { return false };
        if segment < inner.control.wanted() {
            return true;
        }
        if self.last_lsn(object).get() <= inner.era_word(object, ERA_LSN) {
            return false;
        }
        let lasted = inner.now().get().saturating_sub(inner.era_word(object, ERA_TIME));
        if u128::from(lasted) >= (inner.target() / ERAS * times).as_nanos() {
            return true;
        }
        let current = inner.control.current();
        let part = self.era_may_take() * u64::from(times);
        let taken = || {
            let whole: u64 = (segment..current).filter_map(|id| inner.len_on_disk(id).ok()).sum();
            let end = inner.control.hint(current).unwrap_or(0);
            (whole + u64::from(end)).saturating_sub(u64::from(offset))
        };
        if current <= segment {
            return false;
        }
        // A look at the folder now and then is enough.
        let end = inner.control.hint(current).unwrap_or(0);
        let step = u64::from(end) / (part / LOOKS).max(1);
        let here = u64::from(object.get()) << 56 | u64::from(current) << 24 | step.min(0xff_ffff);
        // Relaxed: a number by itself.
        (!seldom || inner.looked.swap(here, Ordering::Relaxed) != here) && taken() >= part
    }
}

impl Inner {
    /// How far back the store shall reach.
    pub(in crate::store) fn target(&self) -> Duration {
        match self.control.window() {
            0 => TARGET,
            seconds => Duration::from_secs(seconds),
        }
    }

    fn era_word(&self, object: ObjectId, index: u32) -> u64 {
        // Relaxed: see `note_era`.
        self.word_of(object, index).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn word_of(&self, object: ObjectId, index: u32) -> Option<&crate::sync::AtomicU64> {
        if self.forked() { None } else { self.control.object(object.get(), index) }
    }
}
