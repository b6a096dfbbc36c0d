use crate::format::{Owner, Place};
use crate::ring::progress::{Progress, Words};
use crate::ring::{Region, Step, abort, step};

/// What a walk through the log finds at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Looked<T> {
    /// A record that counts, and what was read of it.
    Record {
        /// What was read.
        content: T,
        /// Length of the body.
        len: u32,
        /// Offset of the next record.
        next: u32,
    },
    /// A record that was given up.
    Aborted {
        /// Offset of the next record.
        next: u32,
    },
    /// A record in flight, or one that its dead owner left behind.
    Reserved {
        /// Who writes it.
        owner: Owner,
        /// Length of the body with its padding.
        len: u32,
        /// Offset of the next record.
        next: u32,
    },
    /// The log goes on in the next segment.
    Over,
    /// The log ends here, for now.
    End,
    /// It ends here, and yet a segment follows: something was lost.
    Cut,
    /// The segment was let go of: nothing of this look counts. Ask for its other form.
    Gone,
    /// Not a record.
    Damaged,
}

/// Looks at a place, which must be one of a record or the end; `read` is called for a record that counts, with the length of its body.
pub(crate) fn look<R: Region, W: Words, T>(
    region: &R,
    at: u32,
    progress: &Progress<W>,
    read: impl Fn(u32) -> T,
) -> Looked<T> {
    loop {
        let found = step(region, at);
        let content = match found {
            Step::Committed { len, .. } => Some(read(len)),
            _ => None,
        };
        if region.gone().is_up() {
            return Looked::Gone;
        }
        return match (found, content) {
            (Step::Committed { len, next }, Some(content)) => Looked::Record { content, len, next },
            (Step::Aborted { next }, _) => Looked::Aborted { next },
            (Step::Reserved { owner, len, next }, _) => Looked::Reserved { owner, len, next },
            (Step::Over, _) => Looked::Over,
            (Step::Free, _) if progress.current() <= region.id() => Looked::End,
            // A segment is announced only after the one before it was filled: look again
            // after having seen the announcement.
            (Step::Free, _) if step(region, at) == Step::Free && !region.gone().is_up() => Looked::Cut,
            (Step::Free, _) => continue,
            (Step::Committed { .. } | Step::Damaged, _) => Looked::Damaged,
        };
    }
}

/// What was read of a segment, unless it was let go of meanwhile: then its other form has to be read.
#[inline]
pub(crate) fn unless_gone<R: Region, T>(region: &R, read: impl FnOnce(&R) -> T) -> Option<T> {
    let found = read(region);
    if region.gone().is_up() { None } else { Some(found) }
}

/// What a segment that the log has left is found to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Settled {
    /// Nothing in it will ever change.
    Yes,
    /// A writer that lives is in the midst of a record.
    InFlight,
    /// The log ends at this offset: the segment is not closed, or was let go of.
    Open(u32),
    /// What stands at this offset is no record.
    Damaged(u32),
}

/// Goes through a segment, and gives up what the dead left in it. `visit` gets place and length of each record that counts; an error of it ends
/// the way.
pub(crate) fn settle<R: Region, E>(
    region: &R,
    first: u32,
    dead: impl Fn(Owner) -> bool,
    mut visit: impl FnMut(u32, u32) -> Result<(), E>,
) -> Result<Settled, E> {
    let mut at = first;
    loop {
        match step(region, at) {
            Step::Committed { len, next } => {
                visit(at, len)?;
                at = next;
            }
            Step::Aborted { next } => at = next,
            Step::Reserved { owner, len, .. } => {
                if !dead(owner) {
                    return Ok(Settled::InFlight);
                }
                let place = Place { segment: region.id(), offset: at };
                // Whoever was faster, a reaper or the writer: look again.
                abort(region, place, owner, len);
            }
            Step::Over => return Ok(Settled::Yes),
            Step::Free => return Ok(Settled::Open(at)),
            Step::Damaged => return Ok(Settled::Damaged(at)),
        }
    }
}
