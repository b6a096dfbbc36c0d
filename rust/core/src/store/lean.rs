use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{OpenError, ReadError, SealError};
use crate::fault;
use crate::map::{self, Held};
use crate::seal::{self, Behind, Digest, Found, Frames, Origin, Others, Sealed};
use crate::segment::{TEMPORARY, sealed_name};
use crate::store::form::Form;
use crate::store::handle::Inner;
use crate::store::locks;
use crate::store::roll::PATIENCE;
use crate::store::seal::read_body;

impl Others for Inner {
    fn frames(&self) -> &Frames {
        &self.recent.frames
    }

    fn oldest(&self, id: u32, key: (u32, u64), out: &mut Vec<u8>) -> Result<bool, ReadError> {
        self.oldest_in(id, key, self, out)
    }
}

/// Reads frames once, in order, and leaves those that others have read where they are kept.
struct Apart<'a> {
    inner: &'a Inner,
    frames: Frames,
}

impl Others for Apart<'_> {
    fn frames(&self) -> &Frames {
        &self.frames
    }

    fn oldest(&self, id: u32, key: (u32, u64), out: &mut Vec<u8>) -> Result<bool, ReadError> {
        self.inner.oldest_in(id, key, self, out)
    }
}

impl Inner {
    /// Also of a segment that others still have mapped.
    pub(super) fn sealed_file(&self, id: u32) -> Result<Arc<Sealed>, OpenError> {
        match self.recent.get(id) {
            Some(sealed) => Ok(sealed),
            None => Ok(self.recent.put(Sealed::open(&self.dir, id, &self.id)?)),
        }
    }

    fn oldest_in(
        &self,
        id: u32,
        key: (u32, u64),
        others: &dyn Others,
        out: &mut Vec<u8>,
    ) -> Result<bool, ReadError> {
        let missing = match self.sealed_file(id) {
            Ok(sealed) => return sealed.oldest(key, others, out),
            Err(error) => error,
        };
        // Its sealed file was damaged, and a power cut brought the segment back: it is there until it is sealed again.
        let Ok(Some(Form::Raw(segment))) = self.form(id) else { return Err(missing.into()) };
        let of_key = |found: &&Found| {
            let head = found.head;
            seal::is_image(head.kind) && (head.object.get(), head.key.get()) == key
        };
        let records = self.settled(segment)?.unwrap_or_default();
        let oldest = records.iter().filter(of_key).min_by_key(|found| (found.head.lsn, found.offset));
        Ok(oldest.map(|found| read_body(segment, found, out)).transpose()?.is_some())
    }

    /// Makes the sealed files before this one lean on it, newest first: as many as were no larger than it, all together.
    /// The caller has the sealing lock.
    pub(super) fn lean_on(&self, newest: u32, go_on: &mut dyn FnMut() -> bool) -> Result<(), SealError> {
        for id in newest.saturating_sub(seal::FARTHEST)..newest {
            // Left by one who was killed.
            let _ = fs::remove_file(self.dir.join(sealed_name(id) + TEMPORARY));
        }
        let mut left = seal::header(&self.dir, newest)?.size;
        for id in (self.first()..newest).rev() {
            if seal::farthest(id) < newest {
                break;
            }
            let header = seal::header(&self.dir, id)?;
            let Some(rest) = left.checked_sub(header.size) else { break };
            left = rest;
            let size = u32::try_from(header.size).unwrap_or(u32::MAX);
            let origin = Origin { store: self.id, id, size };
            let temporary = self.dir.join(sealed_name(id) + TEMPORARY);
            let done = self.lean(origin, newest, header.file_len, &temporary, go_on);
            if !matches!(done, Ok(true)) {
                let _ = fs::remove_file(&temporary);
            }
            done?;
        }
        Ok(())
    }

    /// Answers whether the file was replaced.
    fn lean(
        &self,
        origin: Origin,
        reach: u32,
        len: u64,
        temporary: &Path,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, SealError> {
        let io = |action| move |source| SealError::Io { action, source };
        if map::free_room(&self.dir).is_ok_and(|free| free / 2 < len) {
            return Ok(false);
        }
        let others = Apart { inner: self, frames: Frames::default() };
        let old = self.sealed_file(origin.id)?;
        let found = |(head, offset, len, _)| Found { head, offset, len };
        let mut records: Vec<Found> = old.index().after(0).map(found).collect();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(temporary);
        let file = file.map_err(io("create a sealed segment"))?;
        let mut body = |found: &Found, out: &mut Vec<u8>| {
            old.read(found.offset, &others, out).map(drop).map_err(io::Error::other)
        };
        let mut oldest = |found: &Found, out: &mut Vec<u8>| {
            let key = (found.head.object.get(), found.head.key.get());
            for id in origin.id + 1..=reach {
                if others.oldest(id, key, out).map_err(io::Error::other)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let behind = Behind { reach, oldest: &mut oldest };
        let written = seal::write(&file, origin, records.clone(), &mut body, Some(behind), go_on);
        // Reading several files for one body has to be worth it.
        if written.map_err(io("write a sealed segment"))? > len / 8 * 7 {
            return Ok(false);
        }
        fault::place("lean: written");
        file.sync_all().map_err(io("sync a sealed segment"))?;
        fault::place("lean: synced");
        let new = Sealed::open_at(temporary.to_path_buf(), origin.id, &self.id)?;
        let digest = Digest::new(&records, &mut body).map_err(io("read a sealed segment"))?;
        if seal::digest_at(temporary, origin.id, &self.id)? != Some(digest)
            || new.index().len() != old.index().len()
        {
            return Err(differs(temporary));
        }
        seal::sort(&mut records);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (number, found) in records.iter().enumerate() {
            if number % 64 == 0 && !go_on() {
                return Ok(false);
            }
            let was = old.read(found.offset, &others, &mut before)?;
            if was.is_none() || was != new.read(found.offset, &others, &mut after)? || before != after {
                return Err(differs(temporary));
            }
        }
        fault::place("lean: compared");
        self.put_in_place(origin.id, temporary)
    }

    /// Both files say the same, and both are on disk: it does not matter which of them a power cut leaves.
    fn put_in_place(&self, id: u32, temporary: &Path) -> Result<bool, SealError> {
        let io = |action| move |source| SealError::Io { action, source };
        let lock = Held::take(&self.lock_path(), locks::CREATE, PATIENCE).map_err(io("lock the store"))?;
        let _lock = lock.ok_or_else(|| io("lock the store")(io::ErrorKind::TimedOut.into()))?;
        if self.is_evicted(id) {
            return Ok(false);
        }
        self.check_in_place()?;
        fs::rename(temporary, self.dir.join(sealed_name(id))).map_err(io("rename a sealed segment"))?;
        fault::place("lean: renamed");
        self.recent.forget(id..id + 1);
        Ok(true)
    }
}

fn differs(path: &Path) -> SealError {
    SealError::Damaged { what: format!("{}: it was not sealed as it is", path.display()) }
}

impl From<SealError> for ReadError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Io { action, source } => Self::Io { action, source },
            other => Self::Damaged { what: other.to_string() },
        }
    }
}

impl From<ReadError> for SealError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io { action, source } => Self::Io { action, source },
            other => Self::Damaged { what: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Code;
    use crate::format::Kind;
    use crate::segment::sealed_name;
    use crate::store::{Cursor, Head, Location, Store, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    fn filled(dir: &std::path::Path) -> (Store, Vec<Location>) {
        let options = StoreOptions { first_segment: 16 << 10, max_segment: 16 << 10, limit: 1 << 20 };
        let store = Store::open(dir, &options).unwrap();
        for lsn in 1..150_u64 {
            let key = 1 + lsn % 10;
            let image: Vec<u8> =
                (1..601_u64).map(|i| ((key * 1000 + i).wrapping_pow(5) >> 11) as u8).collect();
            let head = Head::new(Kind::After, ObjectId::new(0), Key::new(key), Lsn::new(lsn));
            store.append(head, &[&image]).unwrap();
        }
        let mut places = Vec::new();
        store.scan(&mut Cursor::default(), &mut |_, at, _| places.push(at)).unwrap();
        (store, places)
    }

    #[test]
    fn hazard_a_segment_is_evicted_while_its_file_is_made_smaller() {
        let dir = tempfile::tempdir().unwrap();
        let (store, places) = filled(dir.path());
        let other = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        store.seal_some().unwrap().unwrap();
        other.inner.control.raise_ready(2);
        // From the moment on in which the second one has its file.
        let mut go_on = || {
            if dir.path().join(sealed_name(2)).exists() {
                let _ = other.inner.evict_while(|_| true);
            }
            true
        };
        assert_eq!(store.inner.seal_next(&mut go_on).unwrap().unwrap().segment.get(), 2);
        assert_eq!(store.first_segment(), 2);
        let left =
            |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let names: Vec<String> = std::fs::read_dir(dir.path()).unwrap().map(left).collect();
        assert!(!names.iter().any(|name| name.starts_with("0000000000000001")), "{names:?}");
        for at in places {
            let read = store.read(at).map_err(|error| error.code());
            // Who has the files open may read on.
            assert!(read.is_ok() || at.segment().get() < 2 && read == Err(Code::BeforeWindow), "{at}");
        }
    }

    #[test]
    fn the_oldest_go_first_so_nothing_is_missing_to_those_that_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (store, places) = filled(dir.path());
        while store.seal_some().unwrap().is_some() {}
        let sealed = store.inner.control.sealed();
        assert!(sealed > 3, "{sealed}");
        let other = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        for first in 2..=sealed {
            other.inner.control.raise_ready(first);
            assert!(other.inner.evict_while(|_| true).unwrap());
            for at in &places {
                let (kept, read) = (store.read(*at), other.read(*at).map_err(|error| error.code()));
                let gone = at.segment().get() < u64::from(first);
                assert_eq!(read.err(), gone.then_some(Code::BeforeWindow), "{at}");
                // Who has the files open may read on.
                assert!(kept.is_ok() || gone && kept.unwrap_err().code() == Code::BeforeWindow, "{at}");
            }
        }
    }
}
