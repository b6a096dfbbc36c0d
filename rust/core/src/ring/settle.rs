use crate::format::{Owner, Place, Word};
use crate::ring::Region;
use crate::sync::Ordering;

/// Makes a reserved record count. `false` when it was given up meanwhile.
pub(crate) fn commit<R: Region>(region: &R, place: Place, owner: Owner, len: u32) -> bool {
    commit_as(region, place, owner, (len, len))
}

/// As [`commit`], of a record that was reserved with one length and counts with another: behind it, in the rest
/// of what was reserved, stand further whole records.
pub(super) fn commit_as<R: Region>(
    region: &R,
    place: Place,
    owner: Owner,
    (reserved, len): (u32, u32),
) -> bool {
    let (mine, done) = (Word::reserved(place, owner, reserved), Word::committed(place, len));
    region.word(place.offset).is_some_and(|word| {
        // Release: partner of the acquire load in `step`; whoever sees the record committed sees all of
        // its bytes. Relaxed on failure: then nothing is read.
        word.compare_exchange(mine.raw(), done.raw(), Ordering::Release, Ordering::Relaxed).is_ok()
    })
}

/// Gives a record of a dead owner up, or one's own. `false` when its word has changed since: look at it again.
///
/// The caller has made sure that the owner is dead, or is the owner. Should it be alive after all, its own step
/// fails and it appends the record elsewhere.
pub(crate) fn abort<R: Region>(region: &R, place: Place, owner: Owner, len: u32) -> bool {
    let (theirs, gone) = (Word::reserved(place, owner, len), Word::aborted(place, len));
    region.word(place.offset).is_some_and(|word| {
        // Relaxed: an aborted record publishes nothing, its length is in the word itself.
        word.compare_exchange(theirs.raw(), gone.raw(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    })
}
