use crate::format::{HEADER, Owner, Place, Word, span};
use crate::ring::Region;
use crate::ring::append::{Appended, REST, reserve};
use crate::ring::settle::{abort, commit_as};
use crate::ring::walk::after;
use crate::sync::Ordering;

const EIGHT: [u8; 8] = [0; 8];

/// Appends several records to a segment as one: all of them count from the same instant, in this order, or
/// none does. As [`append`](super::append), but for how they get there.
///
/// `bodies` is not empty. `write` copies its parts in, one after the other from an offset on; without it each record is
/// copied by itself, which takes less as long as they are short. Either way that includes the
/// words of all records but the first, as committed ones: nobody looks behind a reserved word, and the first
/// one stays reserved until everything else is there.
pub(crate) fn append_batch<'a, R: Region>(
    region: &R,
    from: u32,
    owner: Owner,
    bodies: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    reserved: impl FnOnce(u32),
    seal: impl FnMut(usize, Place) -> [u8; REST],
    write: Option<impl FnOnce(u32, &[&[u8]]) -> bool>,
) -> Appended {
    match lay_batch(region, from, owner, bodies, reserved, seal, write) {
        Ok(laid) if laid.commit(region, owner) => Appended::At(laid.place.offset),
        Ok(_) => Appended::Aborted,
        Err(outcome) => outcome,
    }
}

/// Records that stand in a segment whole, and do not count yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaidBatch {
    /// Of the first one, whose word is reserved.
    place: Place,
    /// Length of all of them, as one record's body.
    whole: u32,
    /// Length of the first one's body.
    first: u32,
}

impl LaidBatch {
    /// Of the first one.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Makes them count. `false` when somebody took their writer for dead and gave them up.
    pub(crate) fn commit<R: Region>(&self, region: &R, owner: Owner) -> bool {
        commit_as(region, self.place, owner, (self.whole, self.first))
    }

    /// Gives them up.
    pub(crate) fn abort<R: Region>(&self, region: &R, owner: Owner) {
        abort(region, self.place, owner, self.whole);
    }
}

/// The first part of [`append_batch`]: afterwards nothing is missing but that they count, which takes no room and cannot fail for want of it.
/// Until then nobody looks behind them.
pub(crate) fn lay_batch<'a, R: Region>(
    region: &R,
    from: u32,
    owner: Owner,
    bodies: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    reserved: impl FnOnce(u32),
    mut seal: impl FnMut(usize, Place) -> [u8; REST],
    write: Option<impl FnOnce(u32, &[&[u8]]) -> bool>,
) -> Result<LaidBatch, Appended> {
    let spans = bodies.clone().map(|body| span(length(body)));
    let whole = spans.fold(0_u64, u64::saturating_add).saturating_sub(u64::from(HEADER));
    let whole = u32::try_from(whole).unwrap_or(u32::MAX);
    let at = reserve(region, from, owner, whole)?;
    let next = after(region, at, whole).ok_or(Appended::Damaged(at))?;
    reserved(next);
    let place = Place { segment: region.id(), offset: at };
    let first = bodies.clone().next().map_or(0, length);
    let mut behind = place;
    let records = bodies.enumerate().map(|(index, body)| {
        let place = behind;
        behind.offset = after(region, place.offset, length(body)).unwrap_or(next);
        (place, Word::committed(place, length(body)), seal(index, place), body)
    });
    let written = match write {
        Some(write) => in_parts(at, records, write),
        None => one_by_one(region, at, records),
    };
    if written { Ok(LaidBatch { place, whole, first }) } else { Err(Appended::Damaged(at)) }
}

/// A record of a batch: where, its word, the rest of its header, its body.
type Laid<'a> = (Place, Word, [u8; REST], &'a [u8]);

fn one_by_one<'a, R: Region>(region: &R, at: u32, mut records: impl Iterator<Item = Laid<'a>>) -> bool {
    records.all(|(place, committed, rest, body)| {
        let Some(word) = region.word(place.offset) else { return false };
        // The first word is the one that is swapped last, and that publishes the others: relaxed.
        if place.offset != at {
            word.store(committed.raw(), Ordering::Relaxed);
        }
        region.write(place.offset + 8, &rest) && region.write(place.offset + HEADER, body)
    })
}

fn in_parts<'a>(
    at: u32,
    records: impl ExactSizeIterator<Item = Laid<'a>>,
    write: impl FnOnce(u32, &[&[u8]]) -> bool,
) -> bool {
    let records: Vec<_> =
        records.map(|(_, word, rest, body)| (word.raw().to_le_bytes(), rest, body)).collect();
    let mut parts: Vec<&[u8]> = Vec::with_capacity(4 * records.len());
    for (word, rest, body) in &records {
        let padding = EIGHT.get(..body.len().wrapping_neg() % 8).unwrap_or_default();
        let all = [word.as_slice(), rest, body, padding];
        parts.extend(all.into_iter().filter(|part| !part.is_empty()));
    }
    write(at + 8, parts.get(1..).unwrap_or_default())
}

fn length(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}
