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

    /// Takes the lock; `None` if it is not needed any more, which is asked while somebody else has it.
    fn lock(&self, needed: &dyn Fn() -> bool) -> Result<Option<Self::Lock>, Self::Error>;

    /// Maps a segment that is there, announced or not; `false` if there is none of this number, or it is sealed.
    fn open(&mut self, id: u32) -> Result<bool, Self::Error>;

    /// Makes a segment, and maps it.
    fn create(&mut self, id: u32) -> Result<(), Self::Error>;

    /// What it is that a segment is not there which must be.
    fn missing(&self, id: u32) -> Self::Error;
}

/// Moves on to the segment after a full one: somebody else's, or a new one. `current`: the newest one that is mapped here. Answers whether it
/// is the next one; `false`: the log is further on.
///
/// Only who makes a segment needs the lock. All others wait until it is announced, and then for nobody: they would stand in line for a
/// lock while the log goes on.
pub(crate) fn roll<W: Words, S: Segments>(
    progress: &Progress<W>,
    current: &AtomicU32,
    next: u32,
    segments: &mut S,
) -> Result<bool, S::Error> {
    if segments.is_mapped(next) {
        move_on_to(progress, current, next);
        return Ok(true);
    }
    let lock = segments.lock(&|| progress.current() < next)?;
    if lock.is_none() {
        let announced = progress.current();
        if segments.is_mapped(announced) || segments.open(announced)? {
            move_on_to(progress, current, announced);
            return Ok(announced == next);
        }
    }
    // If it is not there it was sealed meanwhile, and the log is further on. With the lock it stays where it is.
    let lock = if lock.is_some() { lock } else { segments.lock(&|| true)? };
    let newest = progress.current().max(next);
    // By its name, not by the announcement: whoever made it may have died before announcing it.
    if !segments.is_mapped(newest) && !segments.open(newest)? {
        if newest > next {
            return Err(segments.missing(newest));
        }
        segments.create(newest)?;
    }
    // Before the lock is let go of: whoever gets it next has no need of it any more.
    move_on_to(progress, current, newest);
    drop(lock);
    Ok(newest == next)
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
