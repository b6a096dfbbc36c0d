//! The database file as it was at one moment: its length, and any of its bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbrewind_core::{Engine, Key, Location, Lsn, ObjectId, Source};

use super::trust::Trust;
use super::{Hold, Origin};
use crate::digest::Digester;
use crate::engine::{History, locked};
use crate::error::Error;
use crate::ffi::{HostFile, full_barrier, shim};
use crate::file::{FileId, Header, read_padded};

/// The unix VFS counts the bytes of one read in 17 bits.
const AT_ONCE: u64 = 64 * 1024;

/// See the module. For one thread at a time; any number of them may be open.
#[derive(Debug)]
pub(crate) struct View {
    origin: Arc<Origin>,
    lsn: Lsn,
    object: ObjectId,
    /// Bytes of a key.
    block: u64,
    /// Keys at the moment.
    extent: u64,
    /// Bytes of the file at the moment.
    size: u64,
    /// Our own handle on the live file, below the shim. It takes no lock, but for what `trust` says.
    file: HostFile,
    trust: Trust,
    /// Nothing is evicted as long as it is read.
    _hold: Hold,
    image: Vec<u8>,
    again: Vec<u8>,
}

impl View {
    /// A view of a moment that is recorded.
    pub(crate) fn open(origin: &Arc<Origin>, lsn: Lsn) -> Result<Self, Error> {
        origin.check()?;
        let vfs = shim::real_vfs(&origin.api)
            .ok_or_else(|| Error::Unreachable { what: "this SQLite has no VFS".to_owned() })?;
        if !FileId::of(&origin.path).is_ok_and(|there| there == origin.file) {
            return Err(Error::FileReplaced { path: origin.path.clone() });
        }
        let file = HostFile::open(vfs, &origin.path).map_err(Error::vfs("open the database"))?;
        let hold = origin.hold()?;
        let (object, block, extent) = {
            let history = origin.history()?;
            let mut history = locked(&history);
            history.see(lsn)?;
            let extent = history.timeline.vantage(lsn).ok_or(Error::NoSuchMoment { lsn })?.extent();
            (history.object, u64::from(history.block), extent.get())
        };
        let mut view = Self {
            origin: Arc::clone(origin),
            lsn,
            object,
            block,
            extent,
            size: extent * block,
            file,
            trust: Trust::default(),
            _hold: hold,
            image: Vec::new(),
            again: Vec::new(),
        };
        let mut start = [0; Header::LEN];
        view.read(&mut start, 0)?;
        if let Some(header) = Header::parse(&start) {
            view.size = header.file_size(extent, view.block);
        }
        Ok(view)
    }

    /// Length of the file, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of a key.
    pub(crate) fn block(&self) -> u64 {
        self.block
    }

    /// Keeps why a read failed, for who asks the moment.
    pub(crate) fn tell(&self, why: &Error) {
        self.origin.tell(self.lsn, why);
    }

    /// Reads bytes; past the end they are zeros.
    pub(crate) fn read(&mut self, out: &mut [u8], offset: u64) -> Result<(), Error> {
        let within = self.size.saturating_sub(offset).min(out.len() as u64);
        let within = usize::try_from(within).unwrap_or(out.len());
        let (out, past) = out.split_at_mut(within);
        past.fill(0);
        if out.is_empty() {
            return Ok(());
        }
        let whole = offset.is_multiple_of(self.block) && (out.len() as u64).is_multiple_of(self.block);
        if whole {
            return self.read_blocks(offset / self.block + 1, out);
        }
        let first = offset / self.block;
        let end = (offset + out.len() as u64).div_ceil(self.block).min(self.extent);
        let mut blocks = vec![0; usize::try_from((end - first) * self.block).unwrap_or(0)];
        self.read_blocks(first + 1, &mut blocks)?;
        let start = usize::try_from(offset - first * self.block).unwrap_or(0);
        out.copy_from_slice(blocks.get(start..start + out.len()).ok_or_else(too_short)?);
        Ok(())
    }

    /// Reads whole blocks from a key on.
    pub(crate) fn read_blocks(&mut self, first: u64, out: &mut [u8]) -> Result<(), Error> {
        let most = usize::try_from((AT_ONCE / self.block).max(1) * self.block).unwrap_or(out.len());
        let mut key = first;
        for stretch in out.chunks_mut(most) {
            self.read_stretch(key, stretch)?;
            key += stretch.len() as u64 / self.block;
        }
        Ok(())
    }

    fn read_stretch(&mut self, first: u64, out: &mut [u8]) -> Result<(), Error> {
        let count = out.len() as u64 / self.block;
        let mut sources = self.sources(&locked(&self.origin.history()?), first, count)?;
        if sources.iter().any(|source| is_in_file(*source)) {
            sources = self.read_file(first, out)?;
        } else {
            // Also of what is in the store it is not known any more whether it will stay.
            self.origin.check()?;
        }
        let block = usize::try_from(self.block).unwrap_or(out.len());
        for (source, out) in sources.iter().zip(out.chunks_exact_mut(block)) {
            match source {
                Source::Record(at) => self.load(*at, out)?,
                Source::Zero => out.fill(0),
                Source::Base | Source::Current => {}
            }
        }
        Ok(())
    }

    /// Where the content of keys is, for what is read of the log so far.
    fn sources(&self, history: &History, first: u64, count: u64) -> Result<Vec<Source>, Error> {
        let lost = || Error::NotAttached {
            what: format!("LSN {} can no longer be told: recording was interrupted after it", self.lsn),
        };
        if history.object != self.object {
            return Err(lost());
        }
        let vantage = history.timeline.vantage(self.lsn).ok_or_else(lost)?;
        Ok((first..first + count).map(|key| vantage.source(Key::new(key))).collect())
    }

    /// Reads keys in the database file until what was read is known to be what the log means by "still there": whoever
    /// overwrites a key saves it before, so that the log, read after the file, tells (`as-of.md`, "Why it is exact").
    fn read_file(&mut self, first: u64, out: &mut [u8]) -> Result<Vec<Source>, Error> {
        let origin = Arc::clone(&self.origin);
        let offset = (first - 1) * self.block;
        let count = out.len() as u64 / self.block;
        let started = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            let engine = engine_of(&origin)?;
            let trusted = self.read_trusted(engine, out, offset);
            origin.check()?;
            let (trusted, refused) = match trusted {
                Ok(trusted) => (trusted, None),
                Err(refused) if self.is_switching(engine)? => (false, Some(refused)),
                Err(refused) => return Err(refused),
            };
            if trusted && self.is_same(engine, out, offset)? {
                let history = origin.history()?;
                let mut history = locked(&history);
                let whole = history.timeline_whole()?;
                let same = history.timeline.era().map(|era| era.engine) == engine;
                if whole && same {
                    return self.sources(&history, first, count);
                }
            }
            if started.elapsed() > origin.timeout {
                return Err(refused.unwrap_or_else(|| Error::Busy {
                    what: "somebody who may be unrecorded writes to the database, or nobody holds its WAL"
                        .to_owned(),
                    holder: None,
                    waited: started.elapsed(),
                }));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        }
    }

    /// One reading of the file, and whether the engine trusts it. `false`: ask again.
    fn read_trusted(&mut self, engine: Option<Engine>, out: &mut [u8], offset: u64) -> Result<bool, Error> {
        let origin = Arc::clone(&self.origin);
        self.trust.begin(engine, &origin, &mut self.file)?;
        let read = read_padded(&mut self.file, out, offset).map_err(Error::vfs("read the database"));
        // Pairs with the barrier between a writer's append of what it is about to overwrite and its write.
        full_barrier();
        read.and_then(|()| self.trust.end(engine, &origin, &mut self.file))
    }

    /// Whether the database is between the engine that was asked and another one: then what that one said of the file
    /// was said of what the other does there.
    fn is_switching(&mut self, engine: Option<Engine>) -> Result<bool, Error> {
        locked(&self.origin.history()?).catch_up()?;
        if engine_of(&self.origin)? != engine {
            return Ok(true);
        }
        let mut start = [0; Header::LEN];
        read_padded(&mut self.file, &mut start, 0).map_err(Error::vfs("read page 1"))?;
        let in_wal_mode = Header::parse(&start).is_some_and(|header| header.versions == [2, 2]);
        Ok(in_wal_mode != (engine == Some(Engine::Wal)))
    }

    /// In the rollback modes: whether the bytes are still there. Else an unrecorded writer may have put them there for a
    /// moment, and taken them back before anybody looked for it.
    fn is_same(&mut self, engine: Option<Engine>, out: &[u8], offset: u64) -> Result<bool, Error> {
        if engine != Some(Engine::Rollback) {
            return Ok(true);
        }
        self.again.resize(out.len(), 0);
        read_padded(&mut self.file, &mut self.again, offset).map_err(Error::vfs("read the database"))?;
        Ok(self.again == out)
    }

    fn load(&mut self, at: Location, out: &mut [u8]) -> Result<(), Error> {
        let store = locked(&self.origin.history()?).store.clone();
        store.read_into(at, &mut self.image)?;
        if self.image.len() != out.len() {
            return Err(Error::internal("an image in the store is not a block long"));
        }
        out.copy_from_slice(&self.image);
        Ok(())
    }

    /// The hash of the content, moving bytes as zeros.
    pub(crate) fn digest(&mut self) -> Result<[u8; 16], Error> {
        let block = usize::try_from(self.block).unwrap_or(0);
        let mut digester = Digester::new(self.extent);
        let mut stretch = vec![0; usize::try_from((AT_ONCE / self.block).max(1)).unwrap_or(1) * block];
        let mut key = 1;
        while key <= self.extent {
            let count = (stretch.len() / block).min(usize::try_from(self.extent + 1 - key).unwrap_or(1));
            let part = stretch.get_mut(..count * block).ok_or_else(too_short)?;
            self.read_blocks(key, part)?;
            part.chunks_exact_mut(block).for_each(|page| digester.page(page));
            key += count as u64;
        }
        Ok(digester.finish())
    }
}

/// The engine of the newest era, for what is read of the log so far.
fn engine_of(origin: &Origin) -> Result<Option<Engine>, Error> {
    Ok(locked(&origin.history()?).timeline.era().map(|era| era.engine))
}

fn is_in_file(source: Source) -> bool {
    matches!(source, Source::Base | Source::Current)
}

fn too_short() -> Error {
    Error::internal("a stretch of blocks is shorter than it is")
}
