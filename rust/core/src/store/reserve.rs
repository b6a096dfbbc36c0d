//! Room for records that must not be missing once something has happened: it is there, and filled, before that happens.

use std::sync::Arc;

use crate::error::AppendError;
use crate::format::{Owner, record, span};
use crate::ring::{self, Appended, LaidBatch};
use crate::segment::Segment;
use crate::store::window::in_need;
use crate::store::{Head, Need, Store};

/// Records that stand in the log and do not count yet: nothing is missing but the word that says so.
///
/// Nobody sees what stands behind them until they are [committed](Self::commit) or dropped, which gives them up. So it is held for moments
/// only, and whoever holds it waits for nobody who reads the log. If the process dies they are given up, too.
#[derive(Debug)]
#[must_use = "dropping it gives the records up"]
pub struct Reservation {
    store: Store,
    segment: Arc<Segment>,
    laid: LaidBatch,
    need: Need,
    /// Empty once they count.
    records: Vec<(Head, Vec<u8>)>,
}

impl Store {
    /// Makes room for records, which are not none, and writes them there: all of them together, in need if there is no other room
    /// ([`append_in_need`](Self::append_in_need)). They count from [`Reservation::commit`] on.
    ///
    /// # Errors
    /// As [`append`](Self::append); nothing is left of them then.
    pub fn reserve(&self, need: Need, records: Vec<(Head, Vec<u8>)>) -> Result<Reservation, AppendError> {
        let bodies = bodies(&records);
        let (segment, laid) = in_need(need, || self.lay(&[&bodies]))?;
        let mut laid = laid.into_iter();
        self.reserved(need, &segment, laid.next(), records)
    }

    /// The same for two lots of records, each of them not none: the first one stands before the other one, and each counts from its own
    /// commit on. There is room for both, or nothing is left of either.
    ///
    /// # Errors
    /// As [`append`](Self::append); nothing is left of them then.
    pub fn reserve_two(
        &self,
        need: Need,
        first: Vec<(Head, Vec<u8>)>,
        second: Vec<(Head, Vec<u8>)>,
    ) -> Result<(Reservation, Reservation), AppendError> {
        let lots = [&first, &second].map(|records| bodies(records));
        let (segment, laid) = in_need(need, || self.lay(&lots.each_ref().map(Vec::as_slice)))?;
        let mut laid = laid.into_iter();
        let first = self.reserved(need, &segment, laid.next(), first)?;
        Ok((first, self.reserved(need, &segment, laid.next(), second)?))
    }

    fn reserved(
        &self,
        need: Need,
        segment: &Arc<Segment>,
        laid: Option<LaidBatch>,
        records: Vec<(Head, Vec<u8>)>,
    ) -> Result<Reservation, AppendError> {
        let laid = laid.ok_or_else(|| AppendError::Damaged { what: "no place for records".to_owned() })?;
        Ok(Reservation { store: self.clone(), segment: Arc::clone(segment), laid, need, records })
    }

    /// Writes lots of records, which are not none, to where nothing is missing but that they count: all of the lots in one segment, one behind
    /// the other. A segment that is made for them is nobody else's before they stand there.
    fn lay(&self, lots: &[&[(Head, &[u8])]]) -> Result<(Arc<Segment>, Vec<LaidBatch>), AppendError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let records = lots.iter().copied().flatten();
        let spans = records.map(|(_, body)| span(u32::try_from(body.len()).unwrap_or(u32::MAX)));
        let bytes = spans.fold(0, u64::saturating_add);
        let room = u32::try_from(bytes).unwrap_or(u32::MAX);
        loop {
            let id = ring::newest(&inner.current);
            let Some(segment) = inner.segments.get(id) else {
                return Err(AppendError::Damaged { what: format!("segment {id} is not mapped") });
            };
            let from = inner.control.hint(id).unwrap_or(Segment::FIRST);
            match lay_lots_in(segment, from, inner.owner, lots, |next| inner.control.raise_hint(id, next)) {
                // Else it stands in nobody's file. One that stands in the file keeps it from being sealed.
                Ok(laid) if !segment.is_gone() => return Ok((Arc::clone(segment), laid)),
                Ok(_) => self.roll(id, 0)?,
                Err(Appended::Full) => {
                    let mut laid = None;
                    self.roll_filling(id, room, &mut |made| {
                        laid = lay_lots_in(made, Segment::FIRST, inner.owner, lots, |_| {}).ok();
                    })?;
                    let place = laid.as_ref().and_then(|laid| laid.first()).map(LaidBatch::place);
                    if let (Some(laid), Some(place)) = (laid, place)
                        && let Some(segment) = inner.segments.get(place.segment)
                    {
                        return Ok((Arc::clone(segment), laid));
                    }
                }
                Err(Appended::Damaged(_)) if segment.is_gone() => self.roll(id, 0)?,
                Err(other) => {
                    let what = format!("no record stands in segment {id}: {other:?}");
                    return Err(AppendError::Damaged { what });
                }
            }
        }
    }
}

fn bodies(records: &[(Head, Vec<u8>)]) -> Vec<(Head, &[u8])> {
    records.iter().map(|(head, body)| (*head, body.as_slice())).collect()
}

/// Lays lots of records into this segment: all of them, or none.
fn lay_lots_in(
    segment: &Segment,
    from: u32,
    owner: Owner,
    lots: &[&[(Head, &[u8])]],
    reserved: impl Fn(u32),
) -> Result<Vec<LaidBatch>, Appended> {
    let mut laid: Vec<LaidBatch> = Vec::with_capacity(lots.len());
    let mut behind = from;
    for records in lots {
        let mut end = behind;
        let raise = |next| {
            end = next;
            reserved(next);
        };
        match lay_in(segment, behind, owner, records, raise) {
            Ok(lot) => laid.push(lot),
            Err(outcome) => {
                laid.iter().for_each(|lot| lot.abort(segment, owner));
                return Err(outcome);
            }
        }
        behind = end;
    }
    Ok(laid)
}

/// The same in this segment.
pub(super) fn lay_in(
    segment: &Segment,
    from: u32,
    owner: Owner,
    records: &[(Head, &[u8])],
    reserved: impl FnOnce(u32),
) -> Result<LaidBatch, Appended> {
    let bodies = records.iter().map(|(_, body)| *body);
    let seal = |index, place| {
        let Some((head, body)) = records.get::<usize>(index) else { return [0; record::REST] };
        let mut rest = record::encode(head);
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        record::seal(&mut rest, place, len, record::body_hash(&[body], body.len()));
        rest
    };
    ring::lay_batch(segment, from, owner, bodies, reserved, seal, None::<fn(u32, &[&[u8]]) -> bool>)
}

impl Reservation {
    /// Makes the records count, from one instant on.
    ///
    /// # Errors
    /// None for want of room, unless somebody took this process for dead meanwhile (the control file was damaged) and there is none to append
    /// them again.
    pub fn commit(mut self) -> Result<(), AppendError> {
        let records = std::mem::take(&mut self.records);
        let inner = &*self.store.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        if self.laid.commit(&*self.segment, inner.owner) {
            return Ok(());
        }
        inner.reclaim_slot();
        self.store.append_whole_in_need(self.need, &bodies(&records)).map(drop)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let inner = &*self.store.inner;
        if !self.records.is_empty() && !inner.forked() {
            self.laid.abort(&*self.segment, inner.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::SyncError;
    use crate::format::Kind;
    use crate::store::{Cursor, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    fn head(lsn: u64) -> Head {
        Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn))
    }

    fn lsns(store: &Store) -> Vec<u64> {
        let mut found = Vec::new();
        store.scan(&mut Cursor::default(), &mut |head, _, _| found.push(head.lsn.get())).unwrap();
        found
    }

    fn open(dir: &std::path::Path) -> Store {
        let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 8192 };
        Store::open(dir, &options).unwrap()
    }

    #[test]
    fn hazard_the_room_that_was_asked_for_is_another_ones_by_then() {
        for count in [1, 2] {
            let dir = tempfile::tempdir().unwrap();
            let (store, other) = (open(dir.path()), open(dir.path()));
            let said: Vec<_> = (1..=count).map(|lsn| (head(lsn), vec![7; 99])).collect();
            let reserved = store.reserve(Need::Keep, said.clone()).unwrap();
            while other.append(head(9), &[&[1; 500]]).is_ok() {}
            while other.append(head(9), &[]).is_ok() {}
            assert_eq!(lsns(&other), []);
            reserved.commit().unwrap();
            assert!(lsns(&other).starts_with(&[1, 2][..said.len()]));
            assert_eq!(lsns(&other)[said.len()], 9);
            assert!(store.reserve(Need::Keep, said).is_err());
        }
    }

    #[test]
    fn hazard_what_stands_behind_a_reservation_is_not_called_durable() {
        let dir = tempfile::tempdir().unwrap();
        let (store, other) = (open(dir.path()), open(dir.path()));
        let reserved = store.reserve(Need::Keep, vec![(head(1), vec![1])]).unwrap();
        store.sync().unwrap();
        other.append(head(2), &[]).unwrap();
        std::thread::scope(|scope| {
            let patient = scope.spawn(|| other.sync_within(Duration::from_secs(60)));
            let synced = other.sync();
            assert!(matches!(synced, Err(SyncError::InFlight { .. })), "{synced:?}");
            let soon = scope.spawn(|| other.sync());
            std::thread::sleep(Duration::from_millis(500));
            reserved.commit().unwrap();
            soon.join().unwrap().unwrap();
            patient.join().unwrap().unwrap();
        });
        assert_eq!(lsns(&other), [1, 2]);
    }

    #[test]
    fn what_is_given_up_was_never_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        drop(store.reserve(Need::Keep, vec![(head(1), Vec::new()), (head(2), vec![7; 99])]).unwrap());
        store.append(head(3), &[]).unwrap();
        drop(store.reserve(Need::Keep, vec![(head(4), vec![7; 5000])]).map_err(|error| error.code()));
        assert_eq!(lsns(&store), [3]);
        drop(store);
        assert_eq!(lsns(&open(dir.path())), [3]);
    }

    #[test]
    fn two_lots_have_room_both_or_neither_and_count_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let lots = |lsn: u64, len: usize| {
            (vec![(head(lsn), vec![1])], vec![(head(lsn + 1), vec![2; len]), (head(lsn + 2), vec![3])])
        };
        let reserve_two = |(first, second)| store.reserve_two(Need::Keep, first, second);
        let (first, second) = reserve_two(lots(1, 9)).unwrap();
        assert_eq!(lsns(&store), []);
        first.commit().unwrap();
        assert_eq!(lsns(&store), [1]);
        second.commit().unwrap();
        assert_eq!(lsns(&store), [1, 2, 3]);
        // A segment that is left, and one that is made for both.
        for (lsn, left) in [(11, 1), (21, 0)] {
            store.append(head(lsn - 1), &[&[7; 3500]]).unwrap();
            assert_eq!(store.inner.control.current(), 2 - left);
            let reserved = reserve_two(lots(lsn, 300));
            assert_eq!(reserved.is_ok(), left == 1, "the store is full");
            if let Ok((first, second)) = reserved {
                assert_eq!(store.inner.control.current(), 2);
                first.commit().unwrap();
                drop(second);
            }
        }
        assert_eq!(lsns(&store), [1, 2, 3, 10, 11, 20], "nothing is left of what had no room");
    }

    #[test]
    fn a_writer_that_was_given_up_says_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let reserved = store.reserve(Need::Keep, vec![(head(1), vec![1]), (head(2), vec![2])]).unwrap();
        reserved.laid.abort(&*reserved.segment, store.inner.owner);
        reserved.commit().unwrap();
        assert_eq!(lsns(&store), [1, 2]);
    }
}
