use crate::format::{HEADER, Owner, Place, State, Word, span};
use crate::ring::Region;
use crate::sync::Ordering;

/// What stands at a place of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing yet: the log ends here, for now.
    Free,
    /// Nothing will ever stand here: the log goes on in the next segment.
    Over,
    /// A record that counts. Its bytes may be read.
    Committed {
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
    /// Not a record.
    Damaged,
}

/// Looks at a place, which must be one of a record or the end.
pub(crate) fn step<R: Region>(region: &R, at: u32) -> Step {
    let Some(left) = region.size().checked_sub(at) else { return Step::Damaged };
    if left < HEADER {
        return Step::Over;
    }
    let Some(word) = region.word(at) else { return Step::Damaged };
    // Acquire: partner of the release in `commit`; after it the record's bytes are all there.
    let word = Word::from_raw(word.load(Ordering::Acquire));
    let Some(state) = word.state(Place { segment: region.id(), offset: at }) else { return Step::Damaged };
    let Some(len) = len(state) else { return Step::Free };
    let Some(next) = after(region, at, len) else { return Step::Damaged };
    match state {
        State::Free => Step::Free,
        State::Reserved { owner, len } => Step::Reserved { owner, len, next },
        State::Committed { len } => Step::Committed { len, next },
        State::Aborted { .. } => Step::Aborted { next },
    }
}

/// Length of the body, unless there is none.
pub(super) fn len(state: State) -> Option<u32> {
    match state {
        State::Free => None,
        State::Reserved { len, .. } | State::Committed { len } | State::Aborted { len } => Some(len),
    }
}

/// Offset after a record, or `None` when it would not fit in the segment.
pub(super) fn after<R: Region>(region: &R, at: u32, len: u32) -> Option<u32> {
    let next = u64::from(at) + span(len);
    u32::try_from(next).ok().filter(|next| *next <= region.size())
}
