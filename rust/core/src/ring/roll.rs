use crate::ring::progress::{Progress, Words};
use crate::sync::{AtomicU32, Ordering};

/// The segments of a store, as a writer needs them that moves on.
pub(crate) trait Segments {
    /// Held, it keeps others from making segments and from removing any.
    type Lock;
    /// Why it cannot go on.
    type Error;

    /// Whether this segment is mapped here.
    fn is_mapped(&self, id: u32) -> bool;

    /// Takes the lock.
    fn lock(&self) -> Result<Self::Lock, Self::Error>;

    /// Whether there is a segment of this number, not sealed, announced or not.
    fn exists(&self, id: u32) -> bool;

    /// Maps a segment that is there.
    fn open(&mut self, id: u32) -> Result<(), Self::Error>;

    /// Makes a segment, and maps it.
    fn create(&mut self, id: u32) -> Result<(), Self::Error>;
}

/// Moves on to the segment after a full one: somebody else's, or a new one. `current`: the newest one that is mapped here. Answers whether it
/// is the next one; `false`: the log is further on.
pub(crate) fn roll<W: Words, S: Segments>(
    progress: &Progress<W>,
    current: &AtomicU32,
    next: u32,
    segments: &mut S,
) -> Result<bool, S::Error> {
    if !segments.is_mapped(next) {
        let _lock = segments.lock()?;
        let announced = progress.current();
        if announced > next {
            // Others are far ahead; what comes next may be sealed by now, the last one is not.
            if !segments.is_mapped(announced) {
                segments.open(announced)?;
            }
            move_on_to(progress, current, announced);
            return Ok(false);
        }
        // By its name, not by the announcement: whoever made it may have died before announcing it.
        if segments.exists(next) {
            segments.open(next)?;
        } else {
            segments.create(next)?;
        }
    }
    move_on_to(progress, current, next);
    Ok(true)
}

/// Makes a mapped segment the one to append to.
pub(crate) fn move_on_to<W: Words>(progress: &Progress<W>, current: &AtomicU32, id: u32) {
    progress.raise_current(id);
    // Release: whoever sees this id finds the segment mapped. Whoever reads an older one moves on again.
    current.fetch_max(id, Ordering::Release);
}

/// The segment to append to, which is mapped.
#[inline]
pub(crate) fn newest(current: &AtomicU32) -> u32 {
    // Acquire: partner of the release in `move_on_to`.
    current.load(Ordering::Acquire)
}
