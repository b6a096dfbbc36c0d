//! What must survive an eviction: chosen, and appended once more (`rust/docs/window.md`, "Evicting").

use super::ledger::{Known, Ledger, MarkAt, segment};
use super::prepare::{damaged, unreadable};
use super::urgent::{Unfit, left_of};
use crate::error::AppendError;
use crate::fault;
use crate::format::segment::HEADER_LEN;
use crate::format::{Kind, MOVED, MarkBody, PINNED, span};
use crate::store::handle::Inner;
use crate::store::roll::{at_limit, needed};
use crate::store::{Head, Location, Store};
use crate::types::{Key, Lsn, ObjectId};

/// Marks of an object that are carried forward; older ones are forgotten.
const MOST_MARKS: usize = 1000;

/// What else there has to be room for beside the marks that are carried: names, and the ends of segments.
const ASIDE: u64 = 4096;

/// A record that is said once more.
struct Again<'a> {
    head: Head,
    at: Location,
    mark: Option<&'a MarkAt>,
    /// Of a mark: the later moment with its state, where that has to be said.
    stand_in: Option<Lsn>,
    /// Something would be lost without it: a name, or a pinned mark that can be reached.
    must: bool,
    kept: bool,
}

/// The same with its body.
struct Carried<'a> {
    again: Again<'a>,
    body: Vec<u8>,
}

impl Store {
    /// Appends once more what would go with the segments before `cut` and must not. `all`: else only what is to be said of marks that were
    /// rewound to. The caller has the registration lock.
    ///
    /// # Errors
    /// [`AppendError::Full`] when there is no room for it: then none of it is appended, as long as nobody else takes that room meanwhile.
    pub(super) fn carry(&self, ledger: &Ledger, cut: u32, all: bool) -> Result<(), AppendError> {
        let mut carried = Vec::new();
        for again in chosen(ledger, cut, all) {
            carried.push(self.with_body(again)?);
        }
        let carried = self.fitting(carried);
        let mut left: u64 = carried.iter().map(Carried::span).sum();
        self.check_room_to_carry(left)?;
        let mut rest = carried.as_slice();
        while !rest.is_empty() {
            // One piece is one reservation: nobody else's records take the room that was made for it.
            let (piece, behind) = rest.split_at(self.inner.piece(rest));
            Unfit::carries(left);
            let records: Vec<(Head, &[u8])> =
                piece.iter().map(|carried| (carried.again.head, carried.body.as_slice())).collect();
            self.append_whole(&records)?;
            left -= piece.iter().map(Carried::span).sum::<u64>();
            rest = behind;
            fault::place("evict: one carried");
        }
        Ok(())
    }

    fn with_body<'a>(&self, again: Again<'a>) -> Result<Carried<'a>, AppendError> {
        let mut body = self.read(again.at).map_err(unreadable)?.body;
        if let Some(stand_in) = again.stand_in {
            let stand_in = stand_in.get().to_le_bytes();
            let mark = MarkBody::decode(&body).map_err(|error| damaged(again.at, &error))?;
            body = MarkBody { note: &stand_in, ..mark }.encode();
        }
        Ok(Carried { again, body })
    }

    /// Leaves the oldest ones out that there is no room for in the half that evictions keep for themselves, but nothing that must be.
    fn fitting<'a>(&self, mut carried: Vec<Carried<'a>>) -> Vec<Carried<'a>> {
        let must: u64 = carried.iter().filter(|carried| carried.again.must).map(Carried::span).sum();
        let mut left = (left_of(self.inner.limit()) / 2).saturating_sub(ASIDE + must);
        // Those that must stay above all come first.
        carried.sort_by_key(|carried| std::cmp::Reverse(carried.again.weight()));
        carried.retain(|carried| {
            if carried.again.must {
                return true;
            }
            let rest = left.checked_sub(carried.span());
            // All that is less worth goes, too: no gap is left between those that stay.
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        // As they were set: that is the order in which they are listed.
        carried.sort_by_key(|carried| {
            let again = &carried.again;
            (again.head.object, again.mark.map(MarkAt::turn))
        });
        carried
    }

    /// Before anything is appended: a part of it would take the room, and be of no use.
    fn check_room_to_carry(&self, bytes: u64) -> Result<(), AppendError> {
        let inner = &self.inner;
        let room = self.room();
        let here = inner.left_in_current() >= bytes;
        let there = room.limit.saturating_sub(room.used) >= needed_for(bytes);
        // What is prepared goes when the log moves on.
        if here || there || inner.first() < inner.control.ready() {
            return Ok(());
        }
        Err(AppendError::Full { path: inner.dir.clone(), why: at_limit(room.used, room.limit, bytes) })
    }
}

impl Inner {
    /// How many of the records are appended as one: what fills a segment, so that others find no rest of it to use up.
    fn piece(&self, records: &[Carried<'_>]) -> usize {
        // Where tests end the process between records.
        let most = if cfg!(feature = "fault") { 0 } else { self.longest() - HEADER_LEN as u64 - span(0) };
        let mut bytes = 0;
        let fit = records.iter().take_while(|carried| {
            bytes += carried.span();
            bytes <= most
        });
        fit.count().max(1)
    }
}

impl Carried<'_> {
    fn span(&self) -> u64 {
        span(u32::try_from(self.body.len()).unwrap_or(u32::MAX))
    }
}

impl Again<'_> {
    /// The most important ones have the highest.
    fn weight(&self) -> impl Ord + use<> {
        let mark = self.mark.map(|mark| (mark.pinned, self.kept, mark.turn()));
        (self.must, mark)
    }
}

fn needed_for(bytes: u64) -> u64 {
    needed(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// What is to be said of each object, of its marks the newest ones.
fn chosen(ledger: &Ledger, cut: u32, all: bool) -> Vec<Again<'_>> {
    let mut chosen = Vec::new();
    for (object, known) in &ledger.objects {
        if let Some((_, at)) = known.name.as_ref().filter(|(_, at)| all && segment(*at) < cut) {
            let head = Head::new(Kind::Object, *object, Key::new(0), Lsn::ORIGIN);
            chosen.push(Again { head, at: *at, mark: None, stand_in: None, must: true, kept: true });
        }
        let goes = |mark: &&MarkAt| known.moves(mark, cut) || all && segment(mark.at) < cut;
        let marks = known.marks.values().filter(goes);
        let mut marks: Vec<_> = marks.map(|mark| of_mark(*object, known, mark, cut)).collect();
        marks.sort_by_key(Again::weight);
        let must = marks.iter().filter(|again| again.must).count();
        chosen.extend(marks.split_off(marks.len().saturating_sub(MOST_MARKS.max(must))));
    }
    chosen
}

fn of_mark<'a>(object: ObjectId, known: &Known, mark: &'a MarkAt, cut: u32) -> Again<'a> {
    let stand_in = Some(known.reached_by(mark)).filter(|_| known.moves(mark, cut));
    let moved = if stand_in.or(mark.stand_in).is_some() { MOVED } else { 0 };
    let flags = moved | if mark.pinned { PINNED } else { 0 };
    let head = Head { flags, ..Head::new(Kind::Mark, object, Key::new(mark.origin.into()), mark.lsn) };
    let kept = known.is_kept(mark, cut);
    Again { head, at: mark.at, mark: Some(mark), stand_in, must: mark.pinned && kept, kept }
}
