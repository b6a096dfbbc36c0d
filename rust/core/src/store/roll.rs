use std::fs;
use std::io;
use std::time::Duration;

use crate::error::{AppendError, OpenError};
use crate::format::segment::HEADER_LEN;
use crate::format::span;
use crate::map::{self, Held};
use crate::ring::Region;
use crate::segment::{self, Segment};
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
            used: (1..=self.inner.control.current()).map(size).sum(),
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
    fn len_on_disk(&self, id: u32) -> io::Result<u64> {
        let found = fs::metadata(self.dir.join(segment::file_name(id)));
        let found = found.or_else(|_| fs::metadata(self.dir.join(segment::sealed_name(id))));
        found.map(|found| found.len())
    }

    fn full(&self, why: impl Into<String>) -> AppendError {
        AppendError::Full { path: self.dir.clone(), why: why.into() }
    }

    /// Moves on to the segment after a full one: somebody else's, or a new one with room for a body of
    /// this length.
    #[cold]
    pub(super) fn roll(&self, full: u32, len: u32) -> Result<(), AppendError> {
        let next = full.checked_add(1).ok_or_else(|| self.full("it has no more numbers"))?;
        if self.segments.get(next).is_none() {
            let io = |source| AppendError::Io { action: "lock the store for a new segment", source };
            let lock = Held::take(&self.lock_path(), locks::CREATE, PATIENCE).map_err(io)?;
            let _lock = lock.ok_or_else(|| io(std::io::ErrorKind::TimedOut.into()))?;
            let current = self.control.current();
            if current > next {
                // Others are far ahead; what comes next may be sealed by now, the last one is not.
                if self.segments.get(current).is_none() {
                    self.map(segment::open(&self.dir, current, &self.id)?, current)?;
                }
                self.move_on_to(current);
                return Ok(());
            }
            // By its name, not by the announcement: whoever made it may have died before announcing it.
            let segment = if self.dir.join(segment::file_name(next)).try_exists().unwrap_or(true) {
                segment::open(&self.dir, next, &self.id)?
            } else {
                self.create_next(next, self.size_of_next(full, len)?, len)?
            };
            let segment = self.map(segment, next)?;
            self.populate.ask_if_running(segment);
        }
        self.move_on_to(next);
        self.let_go_of_sealed();
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
        Ok(segment::create(&self.dir, id, size, &self.id)?)
    }

    fn size_of_next(&self, full: u32, len: u32) -> Result<u32, AppendError> {
        let before = self.segments.get(full).map_or(0, |s| u64::from(s.size()));
        let mut total = 0;
        for id in 1..=full {
            let found = self.len_on_disk(id);
            total += found.map_err(|source| AppendError::Io { action: "look at the segments", source })?;
        }
        let limit = self.limit();
        match next_size(&StoreOptions { limit, ..self.options.clone() }, before, total, len)? {
            Some(size) => Ok(size),
            None => Err(self.full(at_limit(total, limit))),
        }
    }
}

/// Bytes of a segment with room for a body of this length, and hardly more.
fn needed(len: u32) -> u64 {
    (HEADER_LEN as u64 + span(len)).next_multiple_of(PAGE)
}

/// Why a store of `total` bytes cannot grow, and what to write to let it.
pub(super) fn at_limit(total: u64, limit: u64) -> String {
    let more = limit.saturating_mul(2);
    format!("it has {total} bytes, and its limit is {limit}; open it with a higher one, such as limit={more}")
}

/// Size of a segment that follows one of `before` bytes, when all together have `total`; `None`: there is none within
/// the limit.
fn next_size(options: &StoreOptions, before: u64, total: u64, len: u32) -> Result<Option<u32>, AppendError> {
    let needed = needed(len);
    let longest = options.max_segment - options.max_segment % PAGE;
    if needed > longest {
        let max = longest.saturating_sub(HEADER_LEN as u64 + span(0));
        return Err(AppendError::TooLong { len: u64::from(len), max });
    }
    let left = options.limit.saturating_sub(total);
    let left = left - left % PAGE;
    if needed > left {
        return Ok(None);
    }
    let size = (2 * before).clamp(needed, longest).min(left);
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

    const OPTIONS: StoreOptions = StoreOptions { first_segment: 4096, max_segment: 1 << 16, limit: 1 << 20 };

    #[test]
    fn segments_double_up_to_the_longest() {
        assert_eq!(next_size(&OPTIONS, 8192, 8192, 10).unwrap(), Some(16384));
        assert_eq!(next_size(&OPTIONS, 1 << 16, 1 << 16, 10).unwrap(), Some(1 << 16));
    }

    #[test]
    fn a_long_record_gets_a_long_segment() {
        assert_eq!(next_size(&OPTIONS, 4096, 4096, 20000).unwrap(), Some(20480));
        assert!(matches!(next_size(&OPTIONS, 4096, 4096, 1 << 16), Err(AppendError::TooLong { .. })));
        let longest = (1 << 16) - 104;
        assert_eq!(next_size(&OPTIONS, 4096, 4096, longest).unwrap(), Some(1 << 16));
        assert!(next_size(&OPTIONS, 4096, 4096, longest + 1).is_err());
    }

    #[test]
    fn the_limit_holds_and_is_used_up() {
        let limit = OPTIONS.limit;
        assert_eq!(next_size(&OPTIONS, 1 << 16, limit - 8192, 10).unwrap(), Some(8192));
        assert_eq!(next_size(&OPTIONS, 1 << 16, limit - 4095, 10).unwrap(), None);
        assert_eq!(next_size(&OPTIONS, 1 << 16, limit + 1, 10).unwrap(), None);
    }
}
