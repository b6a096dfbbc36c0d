use crate::format::{HEADER, Owner, Place, Word, span};
use crate::ring::Region;
use crate::ring::append::{Appended, REST, reserve};
use crate::ring::settle::commit_as;
use crate::ring::walk::after;

const EIGHT: [u8; 8] = [0; 8];

/// Appends several records to a segment as one: all of them count from the same instant, in this order, or
/// none does. As [`append`](super::append), but for what `write` does.
///
/// `bodies` is not empty. `write` copies its parts in, one after the other from an offset on. They include the
/// words of all records but the first, as committed ones: nobody looks behind a reserved word, and the first
/// one stays reserved until everything else is there.
pub(crate) fn append_batch<R: Region>(
    region: &R,
    from: u32,
    owner: Owner,
    bodies: &[&[u8]],
    reserved: impl FnOnce(u32),
    mut seal: impl FnMut(usize, Place) -> [u8; REST],
    write: impl FnOnce(u32, &[&[u8]]) -> bool,
) -> Appended {
    let spans = bodies.iter().map(|body| span(u32::try_from(body.len()).unwrap_or(u32::MAX)));
    let whole = spans.fold(0_u64, u64::saturating_add).saturating_sub(u64::from(HEADER));
    let whole = u32::try_from(whole).unwrap_or(u32::MAX);
    let at = match reserve(region, from, owner, whole) {
        Ok(at) => at,
        Err(outcome) => return outcome,
    };
    let Some(next) = after(region, at, whole) else { return Appended::Damaged(at) };
    reserved(next);
    let segment = region.id();
    let mut place = Place { segment, offset: at };
    let mut headers = Vec::with_capacity(bodies.len());
    for (index, body) in bodies.iter().enumerate() {
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let word = Word::committed(place, len).raw().to_le_bytes();
        headers.push((word, seal(index, place)));
        place.offset = after(region, place.offset, len).unwrap_or(next);
    }
    let mut parts: Vec<&[u8]> = Vec::with_capacity(4 * bodies.len());
    for ((word, rest), body) in headers.iter().zip(bodies) {
        let padding = EIGHT.get(..body.len().wrapping_neg() % 8).unwrap_or_default();
        let all = [word.as_slice(), rest, body, padding];
        parts.extend(all.into_iter().filter(|part| !part.is_empty()));
    }
    // The first word is the one that is swapped last.
    let parts = parts.get(1..).unwrap_or_default();
    if !write(at + 8, parts) {
        return Appended::Damaged(at);
    }
    let place = Place { segment, offset: at };
    let first = bodies.first().map_or(0, |body| u32::try_from(body.len()).unwrap_or(u32::MAX));
    if commit_as(region, place, owner, (whole, first)) { Appended::At(at) } else { Appended::Aborted }
}
