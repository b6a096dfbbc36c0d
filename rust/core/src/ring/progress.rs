use crate::format::control::{self, hint};
use crate::sync::{AtomicU64, Ordering};

/// Words that all users of a store share.
pub(crate) trait Words {
    /// The word at this offset, or `None` when there is none.
    fn word(&self, at: u32) -> Option<&AtomicU64>;
}

/// How far the log has come: the words of the control file that say so.
///
/// Each is a maximum or a hint by itself. Where one publishes something it says what; the others are relaxed. Words that are not there
/// read as 0 and cannot be changed.
#[derive(Debug)]
pub(crate) struct Progress<W> {
    /// All the words, those among them that are not about the log's progress, too.
    pub(crate) words: W,
}

impl<W: Words> Progress<W> {
    /// The newest segment that anybody has announced.
    pub(crate) fn current(&self) -> u32 {
        // Acquire: partner of the release in `raise_current`, see there.
        let raw = self.words.word(control::CURRENT).map_or(0, |word| word.load(Ordering::Acquire));
        u32::try_from(raw).unwrap_or(0)
    }

    /// Announces a segment.
    pub(crate) fn raise_current(&self, id: u32) {
        if let Some(word) = self.words.word(control::CURRENT) {
            // Release: whoever sees this segment announced sees the one before it full.
            word.fetch_max(u64::from(id), Ordering::Release);
        }
    }

    /// Where the next record of this segment may be; some record's place or the end, in any case.
    #[inline]
    pub(crate) fn hint(&self, segment: u32) -> Option<u32> {
        let word = self.words.word(control::HINT)?;
        // Acquire: partner of the release in `raise_hint`, see there.
        let raw = word.load(Ordering::Acquire);
        match hint::decode(raw) {
            Some((found, offset)) if found == segment => Some(offset),
            None if raw != 0 => {
                // Damaged: make room for a good one, which might be the smaller number.
                let _ = word.compare_exchange(raw, 0, Ordering::Relaxed, Ordering::Relaxed);
                None
            }
            _ => None,
        }
    }

    /// Says that the next record will be here.
    #[inline]
    pub(crate) fn raise_hint(&self, segment: u32, offset: u32) {
        if let Some(word) = self.words.word(control::HINT) {
            // Release: whoever sees the hint sees the reservation before it, so that a log which ends
            // before its hint is one that has lost something.
            word.fetch_max(hint::encode(segment, offset), Ordering::Release);
        }
    }

    /// Up to where the log is known to be on disk.
    pub(crate) fn synced(&self) -> Option<(u32, u32)> {
        hint::decode(self.relaxed(control::SYNCED))
    }

    /// Says that everything before this place is on disk.
    pub(crate) fn raise_synced(&self, segment: u32, offset: u32) {
        if let Some(word) = self.words.word(control::SYNCED) {
            word.fetch_max(hint::encode(segment, offset), Ordering::Relaxed);
        }
    }

    /// Up to which segment all are sealed, and their raw files gone.
    pub(crate) fn sealed(&self) -> u32 {
        hint::decode(self.relaxed(control::SEALED)).map_or(0, |(segment, _)| segment)
    }

    /// Says that all segments up to this one are sealed.
    pub(crate) fn raise_sealed(&self, segment: u32) {
        if let Some(word) = self.words.word(control::SEALED) {
            word.fetch_max(hint::encode(segment, 0), Ordering::Relaxed);
        }
        // What is sealed was on disk before it counted.
        self.raise_synced(segment.saturating_add(1), 0);
    }

    fn relaxed(&self, at: u32) -> u64 {
        self.words.word(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }
}
