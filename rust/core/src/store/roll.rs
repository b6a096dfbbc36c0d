use std::fs;
use std::time::Duration;

use crate::error::{AppendError, OpenError};
use crate::format::segment::HEADER_LEN;
use crate::format::span;
use crate::map::{self, Held};
use crate::ring::Region;
use crate::segment::{self, Segment};
use crate::store::StoreOptions;
use crate::store::handle::Inner;
use crate::store::locks;

/// How long to wait for somebody who creates a segment: far more than that takes on a slow disk.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const PAGE: u64 = 4096;

impl Inner {
    /// Moves on to the segment after a full one: somebody else's, or a new one with room for a body of
    /// this length.
    #[cold]
    pub(super) fn roll(&self, full: u32, len: u32) -> Result<(), AppendError> {
        let next = full.checked_add(1).ok_or(AppendError::Full { why: "it has no more numbers".into() })?;
        if self.segments.get(next).is_none() {
            let io = |source| AppendError::Io { action: "lock the store for a new segment", source };
            let lock = Held::take(&self.lock_path(), locks::CREATE, PATIENCE).map_err(io)?;
            let _lock = lock.ok_or_else(|| io(std::io::ErrorKind::TimedOut.into()))?;
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
            let found = fs::metadata(self.dir.join(segment::file_name(id)));
            total +=
                found.map_err(|source| AppendError::Io { action: "look at the segments", source })?.len();
        }
        next_size(&self.options, before, total, len)
    }
}

/// Bytes of a segment with room for a body of this length, and hardly more.
fn needed(len: u32) -> u64 {
    (HEADER_LEN as u64 + span(len)).next_multiple_of(PAGE)
}

/// Size of a segment that follows one of `before` bytes, when all together have `total`.
fn next_size(options: &StoreOptions, before: u64, total: u64, len: u32) -> Result<u32, AppendError> {
    let needed = needed(len);
    let longest = options.max_segment - options.max_segment % PAGE;
    if needed > longest {
        let max = longest.saturating_sub(HEADER_LEN as u64 + span(0));
        return Err(AppendError::TooLong { len: u64::from(len), max });
    }
    let left = options.limit.saturating_sub(total);
    let left = left - left % PAGE;
    if needed > left {
        let why = format!("it has {total} bytes, its limit is {}", options.limit);
        return Err(AppendError::Full { why });
    }
    let size = (2 * before).clamp(needed, longest).min(left);
    u32::try_from(size).map_err(|_| AppendError::TooLong { len: u64::from(len), max: longest })
}

impl From<OpenError> for AppendError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Full { path } => Self::Full { why: format!("no room on disk for {}", path.display()) },
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
        assert_eq!(next_size(&OPTIONS, 8192, 8192, 10).unwrap(), 16384);
        assert_eq!(next_size(&OPTIONS, 1 << 16, 1 << 16, 10).unwrap(), 1 << 16);
    }

    #[test]
    fn a_long_record_gets_a_long_segment() {
        assert_eq!(next_size(&OPTIONS, 4096, 4096, 20000).unwrap(), 20480);
        assert!(matches!(next_size(&OPTIONS, 4096, 4096, 1 << 16), Err(AppendError::TooLong { .. })));
        let longest = (1 << 16) - 104;
        assert_eq!(next_size(&OPTIONS, 4096, 4096, longest).unwrap(), 1 << 16);
        assert!(next_size(&OPTIONS, 4096, 4096, longest + 1).is_err());
    }

    #[test]
    fn the_limit_holds_and_is_used_up() {
        let limit = OPTIONS.limit;
        assert_eq!(next_size(&OPTIONS, 1 << 16, limit - 8192, 10).unwrap(), 8192);
        assert!(matches!(next_size(&OPTIONS, 1 << 16, limit - 4095, 10), Err(AppendError::Full { .. })));
        assert!(matches!(next_size(&OPTIONS, 1 << 16, limit + 1, 10), Err(AppendError::Full { .. })));
    }
}
