use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::error::{OpenError, ReadError, SealError};
use crate::fault;
use crate::format::record::{self, REST};
use crate::format::{HEADER, Kind, Place};
use crate::map::{self, Held};
use crate::ring::{self, Region, Settled};
use crate::seal::{self, Digest, Found, Frames, Origin, Others, Sealed};
use crate::segment::{self, Segment, TEMPORARY, file_name, sealed_name};
use crate::store::form::Form;
use crate::store::handle::Inner;
use crate::store::roll::PATIENCE;
use crate::store::walk::head_at;
use crate::store::{Location, Store, locks};
use crate::types::SegmentId;

/// A segment that was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealedSegment {
    /// Which one.
    pub segment: SegmentId,
    /// How many records it has.
    pub records: u64,
    /// Bytes it took on disk before.
    pub before: u64,
    /// Bytes it takes now.
    pub after: u64,
}

impl Store {
    /// Seals the oldest segment that is not sealed, if the log has left it: rewrites it so that it takes a fraction of the
    /// room. Every place and every cursor stays good. Answers `None` when there is nothing to do now, when another
    /// process is doing it, or when the disk has less room than twice the segment.
    ///
    /// The sealed segments before it may get smaller by that, too. Takes some seconds for 256 MiB, in which others append
    /// and read as ever.
    ///
    /// # Errors
    /// See [`SealError`]. Everything is as it was then.
    pub fn seal_some(&self) -> Result<Option<SealedSegment>, SealError> {
        self.inner.seal_next(&mut || true)
    }
}

impl Inner {
    /// As [`Store::seal_some`]; gives up, with `None`, when `go_on` says no.
    pub(super) fn seal_next(
        &self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<SealedSegment>, SealError> {
        if self.forked() {
            return Err(SealError::Forked);
        }
        let io = |action| move |source| SealError::Io { action, source };
        let lock = self.idle_locks.take(&self.locks, locks::SEAL, Duration::ZERO);
        let lock = lock.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => self.gone(),
            _ => io("lock for sealing")(source),
        })?;
        let Some(_lock) = lock else { return Ok(None) };
        let id = self.first_raw()?;
        // Whoever evicts it in this process puts zeros under whoever reads it: what does not fit then is no damage.
        self.seal(id, go_on).or_else(|error| if self.is_evicted(id) { Ok(None) } else { Err(error) })
    }

    /// Seals this segment, the oldest one that is not sealed, if it can be. The caller has the sealing lock.
    fn seal(&self, id: u32, go_on: &mut dyn FnMut() -> bool) -> Result<Option<SealedSegment>, SealError> {
        let io = |action| move |source| SealError::Io { action, source };
        self.let_go_of_sealed();
        if !ring::is_left(&self.control, id) {
            return Ok(None);
        }
        let Some(Form::Raw(segment)) = self.form(id)? else { return Ok(None) };
        // Not the last room on the disk: those who write need it.
        if map::free_room(&self.dir).is_ok_and(|free| free / 2 < u64::from(segment.size())) {
            return Ok(None);
        }
        let Some(records) = self.settled(segment)? else { return Ok(None) };
        let count = records.len() as u64;
        fault::place("seal: begun");
        let temporary = self.dir.join(sealed_name(id) + TEMPORARY);
        let made = self.make(&temporary, segment, records, go_on);
        let after = match made {
            Ok(len) => len,
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                return match error {
                    SealError::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted => Ok(None),
                    other => Err(other),
                };
            }
        };
        self.check_in_place()?;
        let name = || {
            let renamed = fs::rename(&temporary, self.dir.join(sealed_name(id)));
            renamed.map_err(io("rename a sealed segment"))?;
            fault::place("seal: renamed");
            Ok(())
        };
        if !self.hand_over(id, name)? {
            return Ok(None);
        }
        self.let_go_of_sealed();
        // What it is for is room: the files that it could not replace are as good as ever.
        let _ = self.lean_on(id, go_on);
        let before = u64::from(segment.size());
        Ok(Some(SealedSegment { segment: SegmentId::new(u64::from(id)), records: count, before, after }))
    }

    /// Whether the log has left a segment that may not be sealed.
    pub(super) fn has_unsealed_left(&self) -> bool {
        self.control.sealed().saturating_add(1) < self.control.current()
    }

    /// The folder may be somewhere else by now, and another store's segments in its place.
    pub(super) fn check_in_place(&self) -> Result<(), SealError> {
        if self.locks.is_at(&self.lock_path()) { Ok(()) } else { Err(self.gone()) }
    }

    fn gone(&self) -> SealError {
        SealError::Damaged { what: format!("{} was removed, renamed or replaced", self.dir.display()) }
    }

    /// The oldest segment that is not sealed. Ends the hand-over of those that are, if a sealer was killed. The caller has
    /// the sealing lock.
    fn first_raw(&self) -> Result<u32, SealError> {
        let mut id = self.control.sealed().saturating_add(1).max(self.first());
        while self.dir.join(sealed_name(id)).exists() {
            if self.dir.join(file_name(id)).exists() {
                let whole = Sealed::open(&self.dir, id, &self.id);
                whole.map_err(|error| SealError::Damaged { what: error.to_string() })?;
                self.hand_over(id, || Ok(()))?;
            } else {
                self.control.raise_sealed(id);
            }
            id = id.saturating_add(1);
        }
        Ok(id)
    }

    /// Gives the sealed file of a segment its `name`, if it has none, and removes the segment; both, and answers `false`, if it was evicted
    /// meanwhile.
    fn hand_over(&self, id: u32, name: impl FnOnce() -> Result<(), SealError>) -> Result<bool, SealError> {
        let sync = || {
            let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
            synced.map_err(|source| SealError::Io { action: "sync the store's folder", source })?;
            fault::place("seal: folder synced");
            Ok(())
        };
        ring::hand_over(&self.control, id, name, sync, || self.remove_raw(id))
    }

    /// Removes a segment whose sealed file is there, under the lock that is answered; both, and answers `None`, if it was evicted meanwhile.
    fn remove_raw(&self, id: u32) -> Result<Option<Held>, SealError> {
        let io = |action| move |source| SealError::Io { action, source };
        let lock = Held::take(&self.lock_path(), locks::CREATE, PATIENCE).map_err(io("lock the store"))?;
        let lock = lock.ok_or_else(|| io("lock the store")(io::ErrorKind::TimedOut.into()))?;
        if self.is_evicted(id) {
            // Nobody would count it any more.
            self.remove(id).map_err(io("remove an evicted segment"))?;
            return Ok(None);
        }
        match segment::header(&self.dir, id) {
            Ok(header) if header.store == self.id => {
                let removed = fs::remove_file(self.dir.join(file_name(id)));
                removed.map_err(io("remove a segment that was sealed"))?;
            }
            Ok(_) => return Err(self.gone()),
            // Whoever opened the store meanwhile found both.
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        fault::place("seal: segment removed");
        Ok(Some(lock))
    }

    /// The records of a closed segment; `None` when one is in flight.
    pub(super) fn settled(&self, segment: &Segment) -> Result<Option<Vec<Found>>, SealError> {
        let mut records = Vec::new();
        let place = |offset| Place { segment: segment.id(), offset };
        let dead = |owner| self.dead(owner);
        let settled = ring::settle(segment, Segment::FIRST, dead, |at, len| -> Result<(), SealError> {
            let head = head_at(segment, at).map_err(|bad| damaged(place(at), &format!("{bad:?}")))?;
            if head.kind != Kind::End {
                records.push(Found { head, offset: at, len });
            }
            Ok(())
        });
        match settled? {
            Settled::Yes => Ok(Some(records)),
            Settled::InFlight => Ok(None),
            Settled::Open(at) => Err(damaged(place(at), "the log ends, though a segment follows")),
            Settled::Damaged(at) => Err(damaged(place(at), "it is not a record")),
        }
    }

    /// Makes the sealed file of a segment under a temporary name, on disk and compared. Answers its length.
    fn make(
        &self,
        path: &Path,
        segment: &Segment,
        records: Vec<Found>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<u64, SealError> {
        let io = |action| move |source| SealError::Io { action, source };
        let origin = Origin { store: self.id, id: segment.id(), size: segment.size() };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(io("create a sealed segment"))?;
        let mut bad = None;
        let mut body = |found: &Found, out: &mut Vec<u8>| {
            read_body(segment, found, out).map_err(|error| {
                bad = Some(error);
                io::Error::from(io::ErrorKind::InvalidData)
            })
        };
        let written = seal::write(&file, origin, records.clone(), &mut body, None, go_on);
        if let Some(error) = bad {
            return Err(error);
        }
        let len = written.map_err(io("write a sealed segment"))?;
        fault::place("seal: written");
        file.sync_all().map_err(io("sync a sealed segment"))?;
        drop(file);
        fault::place("seal: synced");
        let sealed = Sealed::open_at(path.to_path_buf(), segment.id(), &self.id);
        let read = |error: OpenError| SealError::Damaged { what: error.to_string() };
        let sealed = sealed.map_err(read)?;
        let digest = seal::digest_at(path, segment.id(), &self.id).map_err(read)?;
        let mut body = |found: &Found, out: &mut Vec<u8>| {
            read_body(segment, found, out).map_err(|_| io::ErrorKind::InvalidData.into())
        };
        if digest != Some(Digest::new(&records, &mut body).map_err(io("read a segment"))?) {
            return Err(damaged(
                Place { segment: segment.id(), offset: 0 },
                "its digest is of something else",
            ));
        }
        compare(segment, &sealed, records, go_on)?;
        fault::place("seal: compared");
        Ok(len)
    }
}

/// Reads everything back.
fn compare(
    segment: &Segment,
    sealed: &Sealed,
    mut records: Vec<Found>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<(), SealError> {
    let differs =
        |at: u32| damaged(Place { segment: segment.id(), offset: at }, "it was not sealed as it is");
    if sealed.index().len() != records.len() {
        return Err(differs(0));
    }
    let others = Nothing(Frames::default());
    let (mut raw, mut read) = (Vec::new(), Vec::new());
    // As they stand in the file, so that each frame is unpacked once.
    seal::sort(&mut records);
    for (number, found) in records.iter().enumerate() {
        if number % 64 == 0 && !go_on() {
            let source = io::ErrorKind::Interrupted.into();
            return Err(SealError::Io { action: "compare a sealed segment", source });
        }
        read_body(segment, found, &mut raw)?;
        let head = sealed.read(found.offset, &others, &mut read);
        let head = head.map_err(|error| SealError::Damaged { what: error.to_string() })?;
        if head != Some(found.head) || raw != read {
            return Err(differs(found.offset));
        }
    }
    Ok(())
}

/// For a file that leans on no other.
struct Nothing(Frames);

impl Others for Nothing {
    fn frames(&self) -> &Frames {
        &self.0
    }

    fn oldest(&self, id: u32, _: (u32, u64), _: &mut Vec<u8>) -> Result<bool, ReadError> {
        Err(ReadError::Damaged { what: format!("segment {id} is not behind it") })
    }
}

/// A record's body, checked against its hash.
pub(super) fn read_body(segment: &Segment, found: &Found, out: &mut Vec<u8>) -> Result<(), SealError> {
    let place = Place { segment: segment.id(), offset: found.offset };
    let mut rest = [0; REST];
    out.resize(found.len as usize, 0);
    let there = segment.read(found.offset + 8, &mut rest) && segment.read(found.offset + HEADER, out);
    if there && record::intact(&rest, place, found.len, out) {
        Ok(())
    } else {
        Err(damaged(place, "it does not match its hash"))
    }
}

fn damaged(place: Place, what: &str) -> SealError {
    SealError::Damaged { what: format!("at {}: {what}", Location::new(place.segment, place.offset)) }
}

impl From<OpenError> for SealError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io { action, source, .. } => Self::Io { action, source },
            other => Self::Damaged { what: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::seen;
    use crate::store::{Head, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    #[test]
    fn the_last_room_on_the_disk_is_left_to_those_who_write() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 1 << 20 };
        let store = Store::open(dir.path(), &options).unwrap();
        for lsn in 1..9 {
            let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
            store.append(head, &[&[lsn as u8; 600]]).unwrap();
        }
        seen::FREE.set(Some(8191));
        assert_eq!(store.seal_some().unwrap(), None);
        seen::FREE.set(Some(8192));
        assert!(store.seal_some().unwrap().is_some());
    }

    #[test]
    fn hazard_a_segment_is_evicted_while_it_is_sealed() {
        for by_itself in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 1 << 20 };
            let store = Store::open(dir.path(), &options).unwrap();
            for lsn in 1..19 {
                let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
                store.append(head, &[&[lsn as u8; 600]]).unwrap();
            }
            // Another process, or a thread of this one, which lets go of the memory, too.
            let other = if by_itself { store.clone() } else { Store::open(dir.path(), &options).unwrap() };
            other.inner.control.raise_ready(2);
            let mut go_on = || {
                let _ = other.inner.evict_while(|_| true);
                true
            };
            assert!(store.inner.seal_next(&mut go_on).unwrap().is_none(), "{by_itself}");
            assert_eq!(store.first_segment(), 2);
            for name in [file_name(1), sealed_name(1)] {
                assert!(!dir.path().join(&name).exists(), "{name} would not be counted");
            }
            assert!(!dir.path().join(sealed_name(1) + TEMPORARY).exists());
            assert_eq!(store.seal_some().unwrap().unwrap().segment.get(), 2);
        }
    }
}
