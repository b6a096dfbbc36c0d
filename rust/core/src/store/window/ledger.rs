//! What eviction has to know of the log: eras, marks and names of all objects, and when which segment began.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::age::{Present, Sighting};
use super::alike::Alike;
use crate::error::{Code, ReadError};
use crate::format::object::ObjectBody;
use crate::format::{CommitBody, DropBody, Engine, EraBody, Kind, MOVED, MarkBody, PINNED};
use crate::store::{Cursor, Head, Location, Seen, Store};
use crate::types::{Lsn, MarkName, ObjectId, Timestamp};

/// An era that can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EraAt {
    pub(super) lsn: Lsn,
    pub(super) time: Timestamp,
    pub(super) seen: Sighting,
    pub(super) segment: u32,
    /// The oldest moment of an earlier era without which some moment of this one is not known.
    pub(super) needs: Option<Lsn>,
    wal: bool,
}

/// A mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MarkAt {
    pub(super) lsn: Lsn,
    pub(super) time: Timestamp,
    pub(super) pinned: bool,
    /// Its newest record.
    pub(super) at: Location,
    /// Which moment that one says has the same state.
    pub(super) stand_in: Option<Lsn>,
    /// The segment of the original, which may be gone.
    pub(super) origin: u32,
    /// Only copies of it are left.
    is_copy: bool,
    /// Recording was interrupted after it.
    pub(super) lost: bool,
}

impl MarkAt {
    /// When it was set, among the object's others, whichever of its records is read (`timeline/marks.rs`).
    pub(super) fn turn(&self) -> (Lsn, Timestamp, Location) {
        (self.lsn, self.time, self.at)
    }
}

/// What is known of one object.
#[derive(Clone, Default, Debug)]
pub(super) struct Known {
    /// The name, and where it was given.
    pub(super) name: Option<(String, Location)>,
    /// Ascending, from the last broken one on.
    pub(super) eras: Vec<EraAt>,
    pub(super) marks: BTreeMap<MarkName, MarkAt>,
    /// The place of the newest record that is not carried forward.
    pub(super) newest: Location,
    /// Of its moments.
    pub(super) alike: Alike,
    last_commit: Lsn,
    /// The newest moment.
    last: Lsn,
}

/// See the module. Goes on from where it stopped.
#[derive(Clone, Default, Debug)]
pub(crate) struct Ledger {
    cursor: Cursor,
    pub(super) objects: BTreeMap<ObjectId, Known>,
    /// The segment that the log began with when the first record was read.
    read_from: u32,
    /// The first moment in each segment that has one.
    pub(super) began: BTreeMap<u32, Timestamp>,
}

impl Ledger {
    /// Reads what was appended since the last time. Images are passed over. Answers whether every record that was committed
    /// before the call has been read: `false` when one before it is in flight.
    pub(super) fn catch_up(&mut self, store: &Store, present: Present) -> Result<bool, ReadError> {
        let mut whole_from = u32::MAX;
        loop {
            let first = store.inner.first();
            if self.segment() < first {
                *self = Self { read_from: first, ..Self::default() };
            }
            let from = self.segment();
            match self.read_on(store, (first, whole_from), present) {
                // Evicted meanwhile: something may have been passed over.
                Ok(_) if store.inner.first() > from.max(first) => *self = Self::default(),
                Ok(whole) => return Ok(whole),
                Err(error) => {
                    // Some of it was taken, and must not be taken twice.
                    *self = Self::default();
                    if whole_from == 0 || error.code() != Code::StoreDamaged {
                        return Err(error);
                    }
                    // What a digest says may make no sense, although its hash is right: it only repeats what is in its segment.
                    whole_from = 0;
                }
            }
        }
    }

    /// The same, if nothing is evicted meanwhile. `first`: where the log begins; of sealed segments from `whole_from` on everything is read.
    fn read_on(
        &mut self,
        store: &Store,
        (first, whole_from): (u32, u32),
        present: Present,
    ) -> Result<bool, ReadError> {
        for known in self.objects.values_mut() {
            known.forget_before(first);
        }
        self.began.retain(|segment, _| *segment >= first);
        let mut cursor = self.cursor;
        let mut wanted = Vec::new();
        let whole = store.skim(&mut cursor, whole_from, &mut |seen| {
            let (head, at, body) = match seen {
                Seen::Record(head, at) => (head, at, None),
                Seen::Listed(head, at, body) => (head, at, Some(body)),
                Seen::Digested(id, digest) => {
                    for summary in digest.summaries.iter().filter(|summary| summary.newest > 0) {
                        let known = self.objects.entry(summary.object).or_default();
                        known.newest = Location::new(id, summary.newest);
                    }
                    return;
                }
            };
            let mut wanted = |head, at, before| wanted.push((head, at, before, body.map(<[u8]>::to_vec)));
            let known = self.objects.entry(head.object).or_default();
            // Those are carried forward.
            if !matches!(head.kind, Kind::Object | Kind::Mark | Kind::Drop) {
                known.newest = at;
            }
            match head.kind {
                Kind::Object | Kind::Mark | Kind::Drop => wanted(head, at, Lsn::ORIGIN),
                Kind::Rewind => wanted(head, at, known.last_commit),
                Kind::Era => wanted(head, at, known.last),
                Kind::Commit => {
                    known.last_commit = known.last_commit.max(head.lsn);
                    if let Entry::Vacant(began) = self.began.entry(segment(at)) {
                        began.insert(Timestamp::default());
                        wanted(head, at, Lsn::ORIGIN);
                    }
                }
                _ => {}
            }
            if matches!(head.kind, Kind::Commit | Kind::Rewind | Kind::Era) {
                known.last = known.last.max(head.lsn);
            }
        })?;
        for (head, at, before, body) in wanted {
            self.take(store, (head, at, before), body, present)?;
        }
        // Only now, when the copies are known: those that were not carried forward are forgotten.
        for known in self.objects.values_mut() {
            known.marks.retain(|_, mark| segment(mark.at) >= first);
        }
        self.cursor = cursor;
        Ok(whole)
    }

    /// The segment up to which everything was read, but for itself.
    pub(super) fn segment(&self) -> u32 {
        segment(self.cursor.next())
    }

    /// `before`: of an era the newest moment before it, of a rewind the newest commit. `body`: if it is known.
    fn take(
        &mut self,
        store: &Store,
        (head, at, before): (Head, Location, Lsn),
        body: Option<Vec<u8>>,
        present: Present,
    ) -> Result<(), ReadError> {
        if head.kind == Kind::Rewind {
            self.objects.entry(head.object).or_default().rewind(head, before);
            return Ok(());
        }
        let body = match body.map_or_else(|| store.read(at).map(|record| record.body), Ok) {
            Ok(body) => body,
            // Evicted since.
            Err(ReadError::BeforeWindow { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let damaged =
            |error: &dyn std::fmt::Display| ReadError::Damaged { what: format!("at {at}: {error}") };
        let read_from = u64::from(self.read_from);
        let known = self.objects.entry(head.object).or_default();
        match head.kind {
            Kind::Object => {
                let body = ObjectBody::decode(&body).ok_or_else(|| damaged(&"no registration"))?;
                known.name = Some((body.name, at));
            }
            Kind::Commit => {
                let body = CommitBody::decode(&body).map_err(|error| damaged(&error))?;
                self.began.insert(segment(at), body.time);
            }
            Kind::Era => {
                let body = EraBody::decode(&body).map_err(|error| damaged(&error))?;
                known.era((head, at, before), &body, present);
                self.began.entry(segment(at)).or_insert(body.time);
            }
            Kind::Mark => {
                let body = MarkBody::decode(&body).map_err(|error| damaged(&error))?;
                known.mark(head, at, body, head.key.get() >= read_from);
            }
            Kind::Drop => {
                let body = DropBody::decode(&body).map_err(|error| damaged(&error))?;
                known.marks.remove(&body.name);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Known {
    /// Forgets what was evicted with the segments before this one. Marks stay: their copies may not be read yet.
    fn forget_before(&mut self, first: u32) {
        let gone = self.eras.iter().take_while(|era| era.segment < first).count();
        self.eras.drain(..gone);
        if let Some(era) = self.eras.first().filter(|_| gone > 0) {
            let marks: BTreeSet<Lsn> = self.marks.values().map(|mark| mark.lsn).collect();
            self.alike.forget_below(era.lsn, &|moment| marks.contains(&moment));
        }
    }

    fn era(&mut self, (head, at, before): (Head, Location, Lsn), body: &EraBody, present: Present) {
        // Of the first one that was read it is not known which moment was the newest before it.
        if !body.broken && !self.eras.is_empty() {
            self.alike.join(head.lsn, before);
        }
        if body.broken {
            self.alike = Alike::default();
            self.eras.clear();
            for mark in self.marks.values_mut() {
                mark.lost = true;
            }
        }
        let wal = head.key == Engine::Wal.key();
        let seen = present.sight(body.time);
        self.eras.push(EraAt {
            lsn: head.lsn,
            time: body.time,
            seen,
            segment: segment(at),
            needs: None,
            wal,
        });
    }

    /// `has_original`: if it is a copy, the original was read; it is not there if it was dropped.
    fn mark(&mut self, head: Head, at: Location, body: MarkBody<'_>, has_original: bool) {
        let copy_of = u32::try_from(head.key.get()).unwrap_or(u32::MAX);
        let stand_in = (head.flags & MOVED != 0).then(|| lsn_of(body.note)).flatten();
        if let Some(stand_in) = stand_in {
            self.alike.join(head.lsn, stand_in);
        }
        let reached_by = stand_in.unwrap_or(head.lsn);
        let lost = self.eras.first().is_none_or(|era| reached_by < era.lsn);
        let pinned = head.flags & PINNED != 0;
        let (is_copy, origin) = (copy_of != 0, if copy_of == 0 { segment(at) } else { copy_of });
        let mark = MarkAt { lsn: head.lsn, time: body.time, pinned, at, stand_in, origin, is_copy, lost };
        match self.marks.get_mut(&body.name) {
            Some(there) if there.lsn == head.lsn && is_copy => {
                // An older copy stands before the era that this one is about.
                (there.at, there.stand_in, there.lost) = (at, stand_in, there.lost && lost);
            }
            Some(there) if there.is_copy && !is_copy => *there = mark,
            // Refused, since the name was taken.
            Some(_) => {}
            None if is_copy && has_original => {}
            None => {
                self.marks.insert(body.name, mark);
            }
        }
    }

    /// `last_commit`: a rewind whose own images are recorded is a commit as well.
    fn rewind(&mut self, head: Head, last_commit: Lsn) {
        let target = Lsn::new(head.key.get());
        self.alike.join(head.lsn, target);
        if last_commit == head.lsn {
            return;
        }
        if let Some(era) = self.eras.last_mut().filter(|era| era.wal && target < era.lsn) {
            era.needs = Some(era.needs.map_or(target, |needs| needs.min(target)));
        }
    }

    /// The newest moment with a mark's state.
    pub(super) fn reached_by(&self, mark: &MarkAt) -> Lsn {
        if mark.lost { mark.lsn } else { self.alike.newest(mark.lsn) }
    }

    /// The index of the era of a moment.
    pub(super) fn era_of(&self, lsn: Lsn) -> Option<usize> {
        self.eras.partition_point(|era| era.lsn <= lsn).checked_sub(1)
    }
}

fn lsn_of(note: &[u8]) -> Option<Lsn> {
    note.try_into().ok().map(u64::from_le_bytes).map(Lsn::new)
}

pub(super) fn segment(at: Location) -> u32 {
    u32::try_from(at.segment().get()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Extent, Key};

    /// In the segment that the log begins with stands what was carried forward for an earlier cut.
    #[test]
    fn hazard_an_older_copy_of_a_pinned_mark_stands_before_the_first_era() {
        let mut known = Known::default();
        let present = Present::at(Timestamp::new(9), 9);
        let name = MarkName::new("base").unwrap();
        let copy = |stand_in: u64| {
            let flags = PINNED | MOVED;
            let head = Head { flags, ..Head::new(Kind::Mark, ObjectId::new(0), Key::new(1), Lsn::new(3)) };
            (head, stand_in.to_le_bytes())
        };
        let body =
            |note| MarkBody { time: Timestamp::new(1), extent: Extent::new(1), name: name.clone(), note };
        let (head, note) = copy(7);
        known.mark(head, Location::new(5, 64), body(&note), false);
        let era = EraBody { time: Timestamp::new(5), extent: Extent::new(1), broken: false };
        let begins = Head::new(Kind::Era, ObjectId::new(0), Engine::Wal.key(), Lsn::new(10));
        known.era((begins, Location::new(5, 200), Lsn::new(9)), &era, present);
        known.rewind(Head::new(Kind::Rewind, ObjectId::new(0), Key::new(7), Lsn::new(12)), Lsn::new(12));
        let (head, note) = copy(12);
        known.mark(head, Location::new(5, 400), body(&note), false);
        let mark = known.marks.get(&name).unwrap();
        assert!(mark.pinned && !mark.lost);
        assert_eq!(known.reached_by(mark), Lsn::new(12));
    }
}
