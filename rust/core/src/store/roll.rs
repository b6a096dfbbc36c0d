use std::fs;
use std::io;
use std::time::Duration;

use crate::error::{AppendError, OpenError};
use crate::format::segment::HEADER_LEN;
use crate::format::span;
use crate::map::{self, Held};
use crate::ring::{self, Region, Segments, Step};
use crate::segment::{self, Segment};
use crate::store::form::{Form, is_missing};
use crate::store::handle::Inner;
use crate::store::locks;
use crate::store::{Store, StoreOptions};

/// How long to wait for somebody who creates a segment: far more than that takes on a slow disk.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const PAGE: u64 = 4096;

/// How large a store is, and how large it may become.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Room {
    /// Bytes of all segments together.
    pub used: u64,
    /// Most bytes that they may have.
    pub limit: u64,
    /// Bytes that the disk has left for this user.
    pub on_disk: u64,
}

impl Store {
    /// Limits the size of all segments together, for all who have the store open and who open it later, until somebody
    /// sets another limit: in bytes. What there is already stays; the present segment is filled to its end.
    ///
    /// The limit is lost with the control file; that of [`StoreOptions`] holds then, as in a store that never had one.
    pub fn set_limit(&self, bytes: u64) {
        if !self.inner.forked() {
            self.inner.control.set_limit(bytes);
        }
    }

    /// How large the store is, and how large it may become.
    #[must_use]
    pub fn room(&self) -> Room {
        let size = |id| self.inner.len_on_disk(id).unwrap_or(0);
        Room {
            used: (self.inner.first()..=self.inner.control.current()).map(size).sum(),
            limit: self.inner.limit(),
            on_disk: map::free_room(&self.inner.dir).unwrap_or(u64::MAX),
        }
    }
}

impl Inner {
    /// The limit of the whole store, in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.control.limit().unwrap_or(self.options.limit)
    }

    /// Bytes of a segment, sealed or not. Between its two forms it is one of them.
    pub(super) fn len_on_disk(&self, id: u32) -> io::Result<u64> {
        let found = fs::metadata(self.dir.join(segment::file_name(id)));
        let found = found.or_else(|_| fs::metadata(self.dir.join(segment::sealed_name(id))));
        found.map(|found| found.len())
    }

    /// At least that, without a look at the folder for what is mapped: as much as before it was sealed, if somebody has done so.
    fn most_on_disk(&self, id: u32) -> io::Result<u64> {
        match self.segments.get(id).filter(|segment| !segment.is_gone()) {
            Some(segment) => Ok(u64::from(segment.size())),
            None => self.len_on_disk(id),
        }
    }

    /// Of all segments up to this one.
    fn total(&self, upto: u32, len: impl Fn(u32) -> io::Result<u64>) -> Result<u64, AppendError> {
        let found: io::Result<u64> = (self.first()..=upto).map(len).sum();
        found.map_err(|source| AppendError::Io { action: "look at the segments", source })
    }

    fn full(&self, why: impl Into<String>) -> AppendError {
        AppendError::Full { path: self.dir.clone(), why: why.into() }
    }

    /// Moves on to the segment after a full one: somebody else's, or a new one with room for a body of
    /// this length. That one `fill` gets before anybody else finds it.
    #[cold]
    pub(super) fn roll(
        &self,
        full: u32,
        len: u32,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<(), AppendError> {
        let next = full.checked_add(1).ok_or_else(|| self.full("it has no more numbers"))?;
        let mut segments = Rolling { inner: self, full, len, fill };
        if ring::roll(&self.control, &self.current, next, &mut segments)? {
            self.aftercare.look();
            self.let_go_of_sealed();
            self.let_go_of_evicted();
            self.keeping.look();
        }
        Ok(())
    }

    /// Makes a segment of this size, or a smaller one where that would take more than half of the room on disk; not
    /// below the first one's size, so that the last pages of the disk are left to others.
    fn create_next(&self, id: u32, size: u32, len: u32) -> Result<Segment, AppendError> {
        // Asked before: an attempt that fails takes all the room there is for a moment.
        let half = map::free_room(&self.dir).map_or(u64::MAX, |free| free / 2);
        let least = needed(len).max(self.options.first_segment);
        let size = u64::from(size).min(half.max(least));
        let size = u32::try_from(size - size % PAGE).unwrap_or(u32::MAX);
        Ok(segment::create(&self.dir, id, size, &self.id, self.populate.large())?)
    }

    fn size_of_next(&self, full: u32, len: u32) -> Result<u32, AppendError> {
        let before = self.segments.get(full).map_or(0, |s| u64::from(s.size()));
        let limit = self.limit();
        let mine = limit.saturating_sub(self.left_to_evictions());
        let enough = needed(len).max(self.longest());
        let mut total = self.total(full, |id| self.most_on_disk(id))?;
        if total.saturating_add(enough) > mine {
            total = self.total(full, |id| self.len_on_disk(id))?;
        }
        let options = StoreOptions { limit: mine, max_segment: self.longest(), ..self.options.clone() };
        let size = |total| next_size(&options, before, total, self.options.max_segment, len);
        // What the background thread has left to do. It has prepared it, so that this takes no longer than removing files.
        let mut left = total;
        if left.saturating_add(enough) > mine {
            // If that fails there may be room enough even so.
            let _ = self.drop_while(|id| {
                let wanted = left.saturating_add(enough) > mine;
                left = left.saturating_sub(if wanted { self.len_on_disk(id).unwrap_or(0) } else { 0 });
                wanted
            });
            total = self.total(full, |id| self.len_on_disk(id))?;
        }
        if let Some(size) = size(total)? {
            return Ok(size);
        }
        // Whatever of the segment it does not need itself others take.
        let needed = needed(len);
        let full = || self.full(at_limit(total, limit, needed));
        let (carries, stays) = self.needs_of_it().ok_or_else(full)?;
        let left = limit.saturating_sub(total).saturating_sub(stays);
        if needed > left {
            return Err(full());
        }
        let size = (HEADER_LEN as u64 + carries).min(self.longest()).next_multiple_of(PAGE).max(needed);
        Ok(u32::try_from(size.min(left - left % PAGE)).unwrap_or(u32::MAX))
    }

    /// Bytes for records that the present segment still has.
    pub(super) fn left_in_current(&self) -> u64 {
        let id = self.control.current();
        let Ok(Some(Form::Raw(segment))) = self.form(id) else { return 0 };
        let mut at = self.control.hint(id).unwrap_or(Segment::FIRST);
        loop {
            match ring::step(&**segment, at) {
                Step::Free => return u64::from(segment.size().saturating_sub(at)),
                Step::Committed { next, .. } | Step::Aborted { next } | Step::Reserved { next, .. } => {
                    at = next
                }
                // What did not fit has closed it: nothing goes into the rest.
                Step::Over | Step::Damaged => return 0,
            }
        }
    }

    /// Bytes that are enough for a segment with room for a body of this length, and then some.
    pub(super) fn room_for(&self, len: u32) -> u64 {
        (needed(len) + self.left_to_evictions()).max(self.reserve())
    }

    /// Longest segment that a store of this limit makes for records that are not longer: small enough for the window to move
    /// on smoothly.
    pub(super) fn longest(&self) -> u64 {
        let eighth = self.limit() / 8;
        self.options.max_segment.min((eighth - eighth % PAGE).max(PAGE))
    }
}

/// The segments of a store, for a writer that moves on from a full one with a body of this length.
struct Rolling<'a> {
    inner: &'a Inner,
    full: u32,
    len: u32,
    fill: &'a mut dyn FnMut(&Segment),
}

impl Rolling<'_> {
    fn map(&self, segment: Segment, id: u32) -> Result<(), AppendError> {
        self.inner.populate.ask_if_running(self.inner.map(segment, id)?);
        Ok(())
    }
}

impl Segments for Rolling<'_> {
    type Lock = Held;
    type Error = AppendError;

    fn is_mapped(&self, id: u32) -> bool {
        self.inner.segments.get(id).is_some()
    }

    fn lock(&self, needed: &dyn Fn() -> bool) -> Result<Option<Held>, AppendError> {
        let lock = Held::take_while(&self.inner.lock_path(), locks::CREATE, PATIENCE, needed);
        lock.map_err(|source| AppendError::Io { action: "lock the store for a new segment", source })
    }

    fn open(&mut self, id: u32) -> Result<bool, AppendError> {
        match segment::open(&self.inner.dir, id, &self.inner.id) {
            Err(error) if is_missing(&error) => Ok(false),
            opened => self.map(opened?, id).map(|()| true),
        }
    }

    fn missing(&self, id: u32) -> AppendError {
        let path = self.inner.dir.join(segment::file_name(id));
        AppendError::Damaged { what: format!("{} is missing", path.display()) }
    }

    fn create(&mut self, id: u32) -> Result<(), AppendError> {
        let size = self.inner.size_of_next(self.full, self.len)?;
        let made = self.inner.create_next(id, size, self.len)?;
        (self.fill)(&made);
        self.map(made, id)
    }
}

/// Bytes of a segment with room for a body of this length, and hardly more.
pub(super) fn needed(len: u32) -> u64 {
    (HEADER_LEN as u64 + span(len)).next_multiple_of(PAGE)
}

/// Why a store of `total` bytes cannot grow by so many more, and what lets it.
pub(super) fn at_limit(total: u64, limit: u64, by: u64) -> String {
    let more = limit.max(total).saturating_mul(2).max(total.saturating_add(by.saturating_mul(2)));
    let drop = if total > 0 { "drop pinned marks that need not stay, or " } else { "" };
    format!(
        "it has {total} bytes, and its limit is {limit}; {drop}open it with a higher one, such as limit={more}"
    )
}

/// Size of a segment that follows one of `before` bytes, when all together have `total`; `None`: there is none within
/// the limit. `most`: what a segment with a long record may have.
pub(super) fn next_size(
    options: &StoreOptions,
    before: u64,
    total: u64,
    most: u64,
    len: u32,
) -> Result<Option<u32>, AppendError> {
    let needed = needed(len);
    let longest = most - most % PAGE;
    if needed > longest {
        let max = longest.saturating_sub(HEADER_LEN as u64 + span(0));
        return Err(AppendError::TooLong { len: u64::from(len), max });
    }
    let left = options.limit.saturating_sub(total);
    let left = left - left % PAGE;
    if needed > left {
        return Ok(None);
    }
    let usual = options.max_segment - options.max_segment % PAGE;
    let size = (2 * before).min(usual).max(needed).min(left);
    u32::try_from(size).map(Some).map_err(|_| AppendError::TooLong { len: u64::from(len), max: longest })
}

impl From<OpenError> for AppendError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Full { path, why } => Self::Full { path, why },
            OpenError::Io { action, source, .. } => Self::Io { action, source },
            other => Self::Damaged { what: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Head, Kind};
    use crate::types::{Key, Lsn, ObjectId};

    const OPTIONS: StoreOptions = StoreOptions { first_segment: 4096, max_segment: 1 << 16, limit: 1 << 20 };

    /// Appends a record of this length; answers in which segment it stands.
    fn append(store: &Store, len: usize) -> u64 {
        let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(1));
        store.append(head, &[&vec![7; len]]).unwrap().segment().get()
    }

    #[test]
    fn segments_double_up_to_the_longest() {
        assert_eq!(next_size(&OPTIONS, 8192, 8192, OPTIONS.max_segment, 10).unwrap(), Some(16384));
        assert_eq!(next_size(&OPTIONS, 1 << 16, 1 << 16, OPTIONS.max_segment, 10).unwrap(), Some(1 << 16));
    }

    #[test]
    fn a_long_record_gets_a_long_segment() {
        assert_eq!(next_size(&OPTIONS, 4096, 4096, OPTIONS.max_segment, 20000).unwrap(), Some(20480));
        assert!(matches!(
            next_size(&OPTIONS, 4096, 4096, OPTIONS.max_segment, 1 << 16),
            Err(AppendError::TooLong { .. })
        ));
        let longest = (1 << 16) - 104;
        assert_eq!(next_size(&OPTIONS, 4096, 4096, OPTIONS.max_segment, longest).unwrap(), Some(1 << 16));
        assert!(next_size(&OPTIONS, 4096, 4096, OPTIONS.max_segment, longest + 1).is_err());
    }

    #[test]
    fn the_limit_holds_and_is_used_up() {
        let limit = OPTIONS.limit;
        assert_eq!(next_size(&OPTIONS, 1 << 16, limit - 8192, OPTIONS.max_segment, 10).unwrap(), Some(8192));
        assert_eq!(next_size(&OPTIONS, 1 << 16, limit - 4095, OPTIONS.max_segment, 10).unwrap(), None);
        assert_eq!(next_size(&OPTIONS, 1 << 16, limit + 1, OPTIONS.max_segment, 10).unwrap(), None);
    }

    /// What is dropped for a segment is as much as the longest one takes: with less it would be a short one, and with more some of the
    /// history would be gone for nothing.
    #[test]
    fn room_is_made_for_a_whole_segment_and_not_for_more() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { first_segment: 4096, max_segment: 8192, limit: 64 << 10 };
        let store = Store::open(dir.path(), &options).unwrap();
        let append = |len| append(&store, len);
        // One of 4 KiB and seven of 8, with 4 KiB left.
        while append(500) < 8 {}
        while store.inner.left_in_current() > 40 {
            append((store.inner.left_in_current() as usize - 40).min(500));
        }
        assert_eq!((store.room().used, store.first_segment()), (60 << 10, 1));
        store.inner.control.raise_ready(8);
        assert_eq!(append(500), 9);
        assert_eq!(store.inner.len_on_disk(9).unwrap(), 8192);
        assert_eq!((store.room().used, store.first_segment()), (64 << 10, 2));
        while append(500) < 10 {}
        assert_eq!((store.room().used, store.first_segment()), (64 << 10, 3));
    }

    /// Who has a segment mapped does not look how large its file is, unless it matters: another handle may have sealed it.
    #[test]
    fn what_others_have_sealed_counts_as_it_is_when_room_is_short() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { first_segment: 64 << 10, max_segment: 64 << 10, limit: 512 << 10 };
        let store = Store::open(dir.path(), &options).unwrap();
        while append(&store, 8000) < 8 {}
        let other = Store::open(dir.path(), &options).unwrap();
        while other.seal_some().unwrap().is_some() {}
        assert!(!store.inner.segments.get(7).unwrap().is_gone());
        assert_eq!(store.inner.most_on_disk(7).unwrap(), 64 << 10);
        assert!(store.inner.len_on_disk(7).unwrap() < 16 << 10);
        // What may be dropped stays: there is room.
        store.inner.control.raise_ready(8);
        while append(&store, 8000) < 9 {}
        assert_eq!((store.inner.len_on_disk(9).unwrap(), store.first_segment()), (64 << 10, 1));
    }
}
