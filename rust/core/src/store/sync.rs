use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use crate::error::{ReadError, SyncError};
use crate::ring::{self, Region, Step, Written};
use crate::segment::Segment;
use crate::store::form::Form;
use crate::store::handle::Inner;
use crate::store::walk::InFlight;
use crate::store::{Location, Store};

impl Store {
    /// Waits until everything that was appended before this call is on disk, by whomever: for a record in flight that others stand behind 5 s
    /// at most.
    ///
    /// # Errors
    /// See [`SyncError`]. Some of it may be on disk then; what was synced before is.
    pub fn sync(&self) -> Result<(), SyncError> {
        self.sync_within(LONGEST)
    }

    /// As [`sync`](Self::sync), for whose caller such a record may take longer: for so long, but for no less than 5 s.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn sync_within(&self, longest: Duration) -> Result<(), SyncError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(SyncError::Forked);
        }
        let io = |action| move |source| SyncError::Io { action, source };
        inner.let_go_of_sealed();
        let (first, from) = inner.unsynced_from();
        let settled = || {
            let mut done = Location::new(first, from);
            inner.walk_past_what_stands(&mut done, longest.max(LONGEST))?;
            Ok((u32::try_from(done.segment().get()).unwrap_or(0), done.offset()))
        };
        let write = |id, last, (_, done)| {
            let form = match inner.form(id) {
                Err(_) if inner.is_evicted(id) => return Ok(()),
                form => form.map_err(|e| unreadable(e.into()))?,
            };
            // A sealed one was on disk before it counted.
            let Some(Form::Raw(segment)) = form else { return Ok(()) };
            let from = if id == first { from } else { 0 };
            // What a dead writer reserved may stand behind the hint.
            let hinted = inner.control.hint(id).filter(|_| id == last);
            let to = hinted.map_or(segment.size(), |hint| hint.max(done));
            segment.sync(from..to).map_err(io("sync a segment"))
        };
        let names = |last| {
            let new = last > first || from < Segment::FIRST;
            if new { inner.sync_folder() } else { Ok(()) }
        };
        ring::write_all(&inner.control, first, settled, write, names)
    }
}

/// How long a sync waits for a record in flight that others stand behind: one of a process that was stopped, or that waits for the disk
/// in the midst of a rewind.
const LONGEST: Duration = Duration::from_secs(5);

/// So much at once of what nobody waits for, in bytes.
const PIECE: u32 = 4 << 20;

impl Inner {
    /// Walks past all that stands in the log at the call. Not only to a record in flight before it: after a power cut the log ends at
    /// that one, and what stands behind would be gone, however it was synced.
    fn walk_past_what_stands(&self, done: &mut Location, longest: Duration) -> Result<(), SyncError> {
        let started = Instant::now();
        let last = self.control.current();
        let end = self.control.hint(last).map(|hint| Location::new(last, hint));
        loop {
            let whole = self.walk(done, InFlight::Stop, &mut |_, _, _| {}).map_err(unreadable)?;
            if whole || end.is_some_and(|end| *done >= end) || !self.something_stands_behind(*done) {
                return Ok(());
            }
            let waited = started.elapsed();
            if waited >= longest {
                return Err(SyncError::InFlight { waited });
            }
        }
    }

    /// Whether a record stands behind the one in flight at this place. A yes where that cannot be told.
    fn something_stands_behind(&self, at: Location) -> bool {
        let id = u32::try_from(at.segment().get()).unwrap_or(0);
        let Ok(Some(Form::Raw(segment))) = self.form(id) else { return true };
        let mut at = at.offset();
        loop {
            match ring::step(&**segment, at) {
                Step::Reserved { next, .. } | Step::Aborted { next } => at = next,
                Step::Free => return false,
                Step::Over => return id < self.control.current(),
                Step::Committed { .. } | Step::Damaged => return true,
            }
        }
    }

    /// Whether the log has left a segment that may not be on disk.
    pub(super) fn has_unsynced_left(&self) -> bool {
        self.unsynced_from().0 < self.control.current()
    }

    /// From where on the log may not be on disk.
    fn unsynced_from(&self) -> (u32, u32) {
        let (segment, offset) = self.control.synced().unwrap_or((1, 0));
        if segment < self.first() { (self.first(), 0) } else { (segment, offset) }
    }

    /// Has the segments that the log has left written to the disk. Gives up, with `false`, when `go_on` says no, or at a
    /// record that a live writer has not finished.
    pub(super) fn sync_left(&self, go_on: &mut dyn FnMut() -> bool) -> Result<bool, SyncError> {
        let io = |action| move |source| SyncError::Io { action, source };
        while self.has_unsynced_left() {
            let (id, from) = self.unsynced_from();
            let form = match self.form(id) {
                Err(_) if self.is_evicted(id) => continue,
                form => form.map_err(|e| unreadable(e.into()))?,
            };
            let Some(Form::Raw(segment)) = form else {
                self.sync_folder()?;
                self.control.raise_synced(id.saturating_add(1), 0);
                continue;
            };
            let write = || {
                for at in (from..segment.size()).step_by(PIECE as usize) {
                    segment.sync(at..at.saturating_add(PIECE)).map_err(io("sync a segment"))?;
                    if !go_on() {
                        return Ok(false);
                    }
                }
                self.sync_folder().map(|()| true)
            };
            let dead = |owner| self.dead(owner);
            match ring::write_left(&**segment, Segment::FIRST, &self.control, dead, write)? {
                // Gone: it was sealed meanwhile.
                Written::Yes | Written::Gone => {}
                Written::NotYet => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Has the names of segments written to the disk.
    fn sync_folder(&self) -> Result<(), SyncError> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| SyncError::Io { action: "sync the store's folder", source })
    }
}

fn unreadable(error: ReadError) -> SyncError {
    match error {
        ReadError::Forked => SyncError::Forked,
        ReadError::Io { action, source } => SyncError::Io { action, source },
        other => SyncError::Io { action: "walk the log", source: io::Error::other(other) },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::format::{Kind, Owner, Place, Word};
    use crate::map::seen;
    use crate::segment::file_name;
    use crate::store::{Head, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    /// A writer that was killed before it raised the hint: what it reserved is given up, and has to be on disk like that before it
    /// counts as synced. Else a power cut would leave a gap where everything is said to be whole.
    #[test]
    fn hazard_a_reservation_behind_the_hint_is_synced_with_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let options =
            StoreOptions { first_segment: 1 << 16, max_segment: 1 << 16, ..StoreOptions::default() };
        let store = Store::open(dir.path(), &options).unwrap();
        let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(1));
        store.append(head, &[b"whole"]).unwrap();
        let end = store.inner.control.hint(1).unwrap();
        let place = Place { segment: 1, offset: end };
        let word = Word::reserved(place, Owner { slot: 900, generation: 1 }, 9000);
        let log = fs::OpenOptions::new().write(true).open(dir.path().join(file_name(1))).unwrap();
        log.write_all_at(&word.raw().to_le_bytes(), u64::from(end)).unwrap();
        store.sync().unwrap();
        let (_, synced) = store.inner.control.synced().unwrap();
        assert_eq!(synced, end + 40 + 9000);
        assert!(seen::SYNCED_UPTO.get() >= synced, "{} of {synced}", seen::SYNCED_UPTO.get());
    }
}
