use crate::ring::newest;
use crate::ring::progress::{Progress, Words};
use crate::sync::{AtomicU32, Ordering};

/// Whether the log has left a segment, so that it may be sealed once nothing in it is in flight.
pub(crate) fn is_left<W: Words>(progress: &Progress<W>, id: u32) -> bool {
    id < progress.current()
}

/// Hands a segment over to its sealed file, which is whole and on disk: `name` gives the file its name, `sync` makes that durable, and `remove`
/// removes the segment; it answers the lock under which it did so, or `None` if nobody counts it any more. Answers whether it is handed over.
pub(crate) fn hand_over<W: Words, L, E>(
    progress: &Progress<W>,
    id: u32,
    name: impl FnOnce() -> Result<(), E>,
    sync: impl FnOnce() -> Result<(), E>,
    remove: impl FnOnce() -> Result<Option<L>, E>,
) -> Result<bool, E> {
    name()?;
    sync()?;
    let Some(_lock) = remove()? else { return Ok(false) };
    progress.raise_sealed(id);
    Ok(true)
}

/// One of the two forms of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OneOf<R, S> {
    /// As it was written.
    Raw(R),
    /// Sealed.
    Sealed(S),
}

/// Finds a segment that was announced, whose forms may change meanwhile: by its two names, `was_mapped` tells that it was let go of, and so
/// is sealed. There is always one of both, and the sealed one comes before the other one goes.
pub(crate) fn find<R, S, E>(
    was_mapped: bool,
    sealed: impl Fn() -> Result<S, E>,
    raw: impl FnOnce() -> Result<R, E>,
    is_missing: impl Fn(&E) -> bool,
) -> Result<OneOf<R, S>, E> {
    match sealed() {
        Err(error) if !was_mapped && is_missing(&error) => {}
        opened => return opened.map(OneOf::Sealed),
    }
    match raw() {
        // Sealed between the two looks, or evicted.
        Err(error) if is_missing(&error) => {
            sealed().map(OneOf::Sealed).map_err(|again| match is_missing(&again) {
                true => error,
                false => again,
            })
        }
        opened => opened.map(OneOf::Raw),
    }
}

/// Calls `each` with every segment that was sealed since the last call, and then `all` with the last one before these and the last one of them:
/// their memory can be let go of. Not those that are appended to here. `done` remembers them.
pub(crate) fn sealed_since<W: Words>(
    progress: &Progress<W>,
    current: &AtomicU32,
    done: &AtomicU32,
    each: impl FnMut(u32),
    all: impl FnOnce(u32, u32),
) {
    let upto = progress.sealed().min(newest(current).saturating_sub(1));
    // Relaxed: a word by itself, and what is let go of twice was let go of.
    let from = done.load(Ordering::Relaxed);
    if upto > from {
        (from.saturating_add(1)..=upto).for_each(each);
        all(from, upto);
        done.fetch_max(upto, Ordering::Relaxed);
    }
}
