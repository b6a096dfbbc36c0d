use crate::format::{HEADER, Owner, Place, Word, span};
use crate::ring::Region;
use crate::ring::settle::commit;
use crate::ring::walk::after;
use crate::sync::Ordering;

/// Bytes of a header after its word.
pub(super) const REST: usize = HEADER as usize - 8;
const END: u8 = 255;

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Appended {
    /// It counts; this is its offset.
    At(u32),
    /// Somebody took its writer for dead and gave it up. Nothing is lost: append it again.
    Aborted,
    /// The segment has no room for it, and from now on for no other.
    Full,
    /// What stands at this offset is not a record.
    Damaged(u32),
}

/// Appends a record to a segment. No locks, no waiting, no system calls.
///
/// The search for the end starts at `from`, which must be the place of a record or of the end.
/// `reserved` hears where the next record will be as soon as the place is taken, `seal` makes the
/// bytes of the header after its word.
pub(crate) fn append<R: Region>(
    region: &R,
    from: u32,
    owner: Owner,
    parts: &[&[u8]],
    len: u32,
    reserved: impl FnOnce(u32),
    seal: impl FnOnce(Place) -> [u8; REST],
) -> Appended {
    let at = match reserve(region, from, owner, len) {
        Ok(at) => at,
        Err(outcome) => return outcome,
    };
    let Some(next) = after(region, at, len) else { return Appended::Damaged(at) };
    reserved(next);
    let place = Place { segment: region.id(), offset: at };
    let mut fits = region.write(at + 8, &seal(place));
    let mut to = at + HEADER;
    for part in parts {
        fits &= region.write(to, part);
        to = to.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
    }
    if !fits {
        return Appended::Damaged(at);
    }
    if commit(region, place, owner, len) { Appended::At(at) } else { Appended::Aborted }
}

/// Takes the place at the end of the log for a record.
pub(super) fn reserve<R: Region>(region: &R, from: u32, owner: Owner, len: u32) -> Result<u32, Appended> {
    let size = region.size();
    let mut at = from;
    loop {
        let left = size.checked_sub(at).ok_or(Appended::Damaged(at))?;
        if left < HEADER {
            return Err(Appended::Full);
        }
        let fits = span(len) <= u64::from(left);
        let place = Place { segment: region.id(), offset: at };
        let mine = Word::reserved(place, owner, if fits { len } else { left - HEADER });
        let word = region.word(at).ok_or(Appended::Damaged(at))?;
        // Swap at once instead of looking first: a look at a page never touched would fault it in for
        // reading, and the swap would fault again. Relaxed: a reserved word publishes nothing.
        // Acquire on failure: partner of the release in `commit`; behind the first record of a batch stand words
        // that were written before it counted.
        match word.compare_exchange(Word::FREE.raw(), mine.raw(), Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) if fits => return Ok(at),
            Ok(_) => {
                let mut rest = [0; REST];
                if let Some(kind) = rest.first_mut() {
                    *kind = END;
                }
                region.write(at + 8, &rest);
                // Lost to a reaper: the rest of the segment is skipped just the same.
                commit(region, place, owner, left - HEADER);
                return Err(Appended::Full);
            }
            Err(found) => {
                let len = Word::from_raw(found).state(place).and_then(super::walk::len);
                at = len.and_then(|len| after(region, at, len)).ok_or(Appended::Damaged(at))?;
            }
        }
    }
}
