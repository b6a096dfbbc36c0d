use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::AppendError;
use crate::format::{record, span};
use crate::map;
use crate::ring::{self, Region, Verdict};
use crate::segment::{self, Segment};
use crate::store::handle::Inner;
use crate::store::populate::{Pages, STEP};
use crate::store::reserve::lay_in;
use crate::store::{Head, Location, Store};

/// Records in one piece of a batch.
const MOST: usize = 256;
/// Less than this is copied through the mapping: a system call would take longer.
const WORTH_A_CALL: u64 = 16 << 10;
/// Of records that take less, so many go into a page that it has to be present as for single ones.
const SHORT: u64 = 1 << 10;

/// A descriptor of the segment that batches go to.
#[derive(Debug, Default)]
pub(super) struct BatchFile {
    of: Mutex<Option<(u32, Arc<File>)>>,
}

impl BatchFile {
    /// The segment's file; `None` if it cannot be opened, in which case the mapping does as well.
    fn of(&self, inner: &Inner, id: u32) -> Option<Arc<File>> {
        let mut kept = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((known, file)) if *known == id => Some(Arc::clone(file)),
            _ => {
                // The folder at that path may be another store's by now.
                let file = Arc::new(segment::open_file(&inner.dir, id, &inner.id)?);
                *kept = Some((id, Arc::clone(&file)));
                Some(file)
            }
        }
    }
}

impl BatchFile {
    /// Closes the file of a segment that was sealed.
    pub(super) fn let_go(&self, id: u32) {
        let mut kept = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|(known, _)| *known == id);
    }
}

impl Store {
    /// Appends records, in this order; answers the place of the last one. No record is ever seen without those
    /// before it.
    ///
    /// The same as [`Store::append`] for each of them, but faster if there are many, or if they are long: they are
    /// handed to the system in large pieces, which spares it from mapping fresh memory page by page.
    ///
    /// # Errors
    /// As [`Store::append`]. The first so many of the records may have been appended all the same.
    pub fn append_batch(&self, records: &[(Head, &[u8])]) -> Result<Option<Location>, AppendError> {
        let mut last = None;
        let mut rest = records;
        while !rest.is_empty() {
            let (count, at) = self.append_some(rest)?;
            last = Some(at);
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(last)
    }

    /// Appends a few records, all of them or none: whoever sees one sees the others. Answers the place of the first one.
    ///
    /// # Errors
    /// As [`Store::append`]; nobody will see any of them then.
    pub fn append_whole(&self, records: &[(Head, &[u8])]) -> Result<Location, AppendError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        if let [(head, body)] = records {
            return self.append(*head, &[body]);
        }
        let spans = records.iter().map(|(_, body)| span(u32::try_from(body.len()).unwrap_or(u32::MAX)));
        let bytes = spans.fold(0, u64::saturating_add);
        let room = u32::try_from(bytes).unwrap_or(u32::MAX);
        let mut laid = None;
        loop {
            let id = ring::newest(&inner.current);
            let mut fill = |made: &Segment| {
                laid = lay_in(made, Segment::FIRST, inner.owner, records, |_| {}).ok();
            };
            if let Some((first, _)) = self.append_piece(id, records, bytes, room, &mut fill)? {
                return Ok(first);
            }
            let Some(done) = laid.take() else { continue };
            let place = done.place();
            if inner.segments.get(place.segment).is_some_and(|made| done.commit(&**made, inner.owner)) {
                return Ok(Location::new(place.segment, place.offset));
            }
            inner.reclaim_slot();
        }
    }

    /// Appends as many as go into one piece, at least one. Answers how many, and the place of the last one.
    fn append_some(&self, records: &[(Head, &[u8])]) -> Result<(usize, Location), AppendError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let id = ring::newest(&inner.current);
        let Some(segment) = inner.segments.get(id) else {
            return Err(AppendError::Damaged { what: format!("segment {id} is not mapped") });
        };
        let from = inner.control.hint(id).unwrap_or(Segment::FIRST);
        let room = u64::from(segment.size().saturating_sub(from));
        let (count, bytes) = fitting(records, room);
        let piece = records.get(..count).filter(|piece| piece.len() > 1);
        let Some(piece) = piece else {
            // One that is alone, or at the end of a segment.
            let Some((head, body)) = records.first() else { return Ok((0, Location::default())) };
            return Ok((1, self.append(*head, &[body])?));
        };
        let room = piece.first().map_or(0, |(_, body)| u32::try_from(body.len()).unwrap_or(u32::MAX));
        match self.append_piece(id, piece, bytes, room, &mut |_| {})? {
            Some((_, last)) => Ok((count, last)),
            None => self.append_some(records),
        }
    }

    /// Appends at least two records as one, into this segment; answers the places of the first and the last one. `None`: not there,
    /// and the log goes on in another segment by now, in which there is `room` for a record of that length; one that was made for it
    /// `fill` has got before anybody else.
    fn append_piece(
        &self,
        id: u32,
        piece: &[(Head, &[u8])],
        bytes: u64,
        room: u32,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<Option<(Location, Location)>, AppendError> {
        let inner = &*self.inner;
        let Some(segment) = inner.segments.get(id) else {
            return Err(AppendError::Damaged { what: format!("segment {id} is not mapped") });
        };
        let from = inner.control.hint(id).unwrap_or(Segment::FIRST);
        let file = (bytes >= WORTH_A_CALL).then(|| inner.batch_file.of(inner, id)).flatten();
        let by_call = file.is_some();
        let mut last = Location::default();
        let outcome = ring::append_batch(
            &**segment,
            from,
            inner.owner,
            piece.iter().map(|(_, body)| *body),
            |next| inner.control.raise_hint(id, next),
            |index, place| {
                last = Location::new(id, place.offset);
                let Some((head, body)) = piece.get(index) else { return [0; record::REST] };
                let mut rest = record::encode(head);
                let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
                record::seal(&mut rest, place, len, record::body_hash(&[body], body.len()));
                rest
            },
            file.map(|file| {
                move |at, parts: &[&[u8]]| {
                    // When the segment is gone the place is none, and the file may be read by others.
                    let gone = segment.is_gone();
                    !gone
                        && (map::write_parts(&file, u64::from(at), parts).is_ok() || copy(segment, at, parts))
                }
            }),
        );
        match ring::verdict(&**segment, outcome) {
            Verdict::Ask(at) => {
                if let Some((head, body)) = piece.last()
                    && self.has(last, *head, &[body])?
                {
                    return Ok(Some((Location::new(id, at), last)));
                }
                self.roll(id, 0)?;
                Ok(None)
            }
            Verdict::Done(at) => {
                if segment.wants_pages(at, STEP) {
                    let pages = if by_call || bytes > SHORT * piece.len() as u64 {
                        Pages::Written
                    } else {
                        inner.pages_of(id)
                    };
                    inner.populate.ask(segment, at, pages);
                }
                Ok(Some((Location::new(id, at), last)))
            }
            Verdict::Roll => {
                self.roll_filling(id, room, fill)?;
                Ok(None)
            }
            Verdict::Again => {
                inner.reclaim_slot();
                Ok(None)
            }
            Verdict::Damaged(at) => {
                let what = format!("no record stands at {}", Location::new(id, at));
                Err(AppendError::Damaged { what })
            }
        }
    }
}

/// How many of the records have room in so many bytes, and how many they take; at most [`MOST`].
fn fitting(records: &[(Head, &[u8])], room: u64) -> (usize, u64) {
    let mut bytes = 0;
    for (count, (_, body)) in records.iter().take(MOST).enumerate() {
        let more = span(u32::try_from(body.len()).unwrap_or(u32::MAX));
        if bytes + more > room {
            return (count, bytes);
        }
        bytes += more;
    }
    (records.len().min(MOST), bytes)
}

fn copy(segment: &Segment, mut at: u32, parts: &[&[u8]]) -> bool {
    parts.iter().all(|part| {
        let fits = segment.write(at, part);
        at = at.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
        fits
    })
}
