use crate::error::{AppendError, ReadError};
use crate::format::record;
use crate::ring::{self, Verdict};
use crate::segment::Segment;
use crate::store::populate::STEP;
use crate::store::{Head, Location, Store};

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
            let id = ring::newest(&inner.current);
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
            match ring::verdict(&**segment, outcome) {
                Verdict::Ask(at) => {
                    if self.has(Location::new(id, at), head, body)? {
                        return Ok(Location::new(id, at));
                    }
                    self.roll(id, len)?;
                }
                Verdict::Done(at) => {
                    if segment.wants_pages(at, STEP) {
                        inner.populate.ask(segment, at, inner.pages_of(id));
                    }
                    return Ok(Location::new(id, at));
                }
                Verdict::Roll => self.roll(id, len)?,
                Verdict::Again => inner.reclaim_slot(),
                Verdict::Damaged(at) => {
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
            Err(ReadError::NoRecord { .. } | ReadError::BeforeWindow { .. }) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

impl From<ReadError> for AppendError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forked => Self::Forked,
            ReadError::Io { action, source } => Self::Io { action, source },
            other => Self::Damaged { what: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::format::Kind;
    use crate::store::{Cursor, Head, Location, Record, Store, StoreOptions};
    use crate::sync::Ordering;
    use crate::types::{Key, Lsn, ObjectId};

    fn head(lsn: u64) -> Head {
        let object = ObjectId::new(0);
        Head { kind: Kind::Note, flags: 0, object, key: Key::new(1), lsn: Lsn::new(lsn) }
    }

    fn all(store: &Store) -> Vec<Record> {
        let mut places = Vec::new();
        store.scan(&mut Cursor::default(), &mut |_, at, _| places.push(at)).unwrap();
        places.into_iter().map(|at| store.read(at).unwrap()).collect()
    }

    /// A store of sealed segments, and a thread in it that still takes the first one for the last.
    fn asleep(dir: &std::path::Path) -> Store {
        let options = StoreOptions { first_segment: 4096, max_segment: 64 << 10, limit: 1 << 24 };
        let store = Store::open(dir, &options).unwrap();
        for lsn in 1..300 {
            store.append(head(lsn), &[&[lsn as u8; 600]]).unwrap();
        }
        while store.seal_some().unwrap().is_some() {}
        assert!(store.inner.segments.get(1).unwrap().is_gone());
        store.inner.current.store(1, Ordering::Relaxed);
        store
    }

    #[test]
    fn hazard_stopped_within_an_append_while_the_segment_was_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let store = asleep(dir.path());
        let last = store.inner.control.current();
        let at = store.append(head(300), &[b"late"]).unwrap();
        assert_eq!(at.segment().get(), u64::from(last));
        store.inner.current.store(1, Ordering::Relaxed);
        let long = vec![7; 9000];
        store.append_batch(&[(head(301), &long), (head(302), &long)]).unwrap();
        let found: Vec<u64> = all(&store).iter().map(|record| record.head.lsn.get()).collect();
        assert_eq!(found, (1..303).collect::<Vec<_>>());
    }

    #[test]
    fn what_had_counted_before_the_thread_was_stopped_is_not_appended_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = asleep(dir.path());
        let second = &all(&store)[1];
        assert!(store.has(second.at, second.head, &[&second.body[..9], &second.body[9..]]).unwrap());
        assert!(!store.has(second.at, head(3), &[&second.body]).unwrap());
        assert!(!store.has(second.at, second.head, &[b"other"]).unwrap());
        assert!(!store.has(Location::new(1, 72), second.head, &[&second.body]).unwrap());
    }
}
