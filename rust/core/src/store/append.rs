use crate::error::{AppendError, ReadError};
use crate::format::record;
use crate::ring::{self, Appended};
use crate::segment::Segment;
use crate::store::populate::{Pages, STEP};
use crate::store::{Head, Location, Store};
use crate::sync::Ordering;

impl Store {
    /// Appends a record; its body is the parts, one after the other.
    ///
    /// Takes no lock and waits for nobody; no system call either, but once a segment. The record
    /// survives the death of this process as soon as this has returned.
    ///
    /// # Errors
    /// [`AppendError::Full`] when the log cannot grow: then nobody will see any part of the record, and
    /// a later call succeeds once there is room. [`AppendError::TooLong`] for a body that no segment can
    /// hold.
    #[inline]
    pub fn append(&self, head: Head, body: &[&[u8]]) -> Result<Location, AppendError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let total = body.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let len = u32::try_from(total).unwrap_or(u32::MAX);
        let body_hash = record::body_hash(body, total);
        let rest = record::encode(&head);
        loop {
            // Relaxed: the table has its own ordering.
            let id = inner.current.load(Ordering::Relaxed);
            let Some(segment) = inner.segments.get(id) else {
                return Err(AppendError::Damaged { what: format!("segment {id} is not mapped") });
            };
            let from = inner.control.hint(id).unwrap_or(Segment::FIRST);
            let outcome = ring::append(
                &**segment,
                from,
                inner.owner,
                body,
                len,
                |next| inner.control.raise_hint(id, next),
                |place| {
                    let mut rest = rest;
                    record::seal(&mut rest, place, len, body_hash);
                    rest
                },
            );
            match outcome {
                Appended::At(at) => {
                    if segment.is_gone() && !self.has(Location::new(id, at), head, body)? {
                        continue;
                    }
                    if segment.wants_pages(at, STEP) {
                        inner.populate.ask(segment, at, Pages::Mapped);
                    }
                    return Ok(Location::new(id, at));
                }
                Appended::Full => inner.roll(id, len)?,
                Appended::Aborted => inner.reclaim_slot(),
                Appended::Damaged(_) if segment.is_gone() => {}
                Appended::Damaged(at) => {
                    let what = format!("no record stands at {}", Location::new(id, at));
                    return Err(AppendError::Damaged { what });
                }
            }
        }
    }

    /// Whether the log has this very record at this place: what a thread has to ask that was stopped within an append while
    /// the log went on, and the segment was sealed.
    #[cold]
    pub(super) fn has(&self, at: Location, head: Head, body: &[&[u8]]) -> Result<bool, AppendError> {
        match self.read(at) {
            Ok(found) => Ok(found.head == head && found.body == body.concat()),
            Err(ReadError::NoRecord { .. }) => Ok(false),
            Err(ReadError::Forked) => Err(AppendError::Forked),
            Err(ReadError::Io { action, source }) => Err(AppendError::Io { action, source }),
            Err(other) => Err(AppendError::Damaged { what: other.to_string() }),
        }
    }
}
