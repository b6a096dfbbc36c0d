//! Golden stores of a volume: one at rest, with each kind of note, and one in the midst of a rewind.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dbrewind_core::{Lsn, Store, StoreOptions};
use dbrewind_volume::{AttachOptions, Error, Medium, Storage, Volume, VolumeStore};

use super::{DATABASE, STATES, STORE};

/// Bytes of a block.
pub(super) const BLOCK: u32 = 64;
const NAME: &str = "golden";
/// What the engine says of its content at rest.
const STAMP: &[u8] = b"at rest";

/// A content in memory of which the tests say that it outlasts a power cut, and how many writes it can still take.
#[derive(Clone)]
pub struct Bytes(Arc<Mutex<(Vec<u8>, usize)>>);

impl Bytes {
    /// With this content.
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new((content, usize::MAX))))
    }

    /// A copy of it.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.inner().0.clone()
    }

    fn inner(&self) -> MutexGuard<'_, (Vec<u8>, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Bytes {
    fn lock(&self, _timeout: Duration) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) {}

    fn syncs(&self) -> bool {
        true
    }

    fn stamp(&self) -> io::Result<Vec<u8>> {
        Ok(STAMP.to_vec())
    }
}

impl Medium for Bytes {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        to.copy_from_slice(self.inner().0.get(from..from + to.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.1 = inner.1.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        inner.0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.inner().0.resize(size as usize, 0);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.inner().0.len() as u64)
    }
}

/// Attaches a content to the volume of a golden store, or of a copy of one.
///
/// # Errors
/// The volume's.
pub fn attach(store: &Path, content: &Bytes) -> Result<Volume, Error> {
    let store = VolumeStore::open(store, &dbrewind_volume::StoreSettings::default())?;
    Volume::attach(&store, NAME, BLOCK, content.clone(), &AttachOptions::default())
}

/// Commits, marks, rewinds, growth, shrinking, holes; `half`: and a rewind that ends in its midst, as by a kill.
pub(super) fn write(folder: &Path, half: bool) {
    let dir = folder.join(STORE);
    // Begun here, so that the segments are small.
    let small = StoreOptions { first_segment: 4096, ..StoreOptions::default() };
    drop(Store::open(&dir, &small).expect("a store"));
    let content = Bytes::new(vec![0x11; 1000]);
    let keep = |lsn: Lsn| {
        fs::write(folder.join(STATES).join(lsn.to_string()), content.content()).expect("a state");
    };
    let volume = attach(&dir, &content).expect("a volume");
    let mark = |name: &str| keep(volume.mark(name).expect("a mark").lsn);
    let change = |offset: u64, bytes: &[u8]| {
        volume.enter().expect("entered");
        volume.will_write(offset, bytes.len() as u64).expect("saved");
        let mut inner = content.inner();
        let end = offset as usize + bytes.len();
        if inner.0.len() < end {
            inner.0.resize(end, 0);
        }
        inner.0[offset as usize..end].copy_from_slice(bytes);
        drop(inner);
        volume.commit().expect("a moment");
    };
    mark("empty");
    change(70, b"a change");
    change(2000, b"behind a hole");
    mark("grown, with an ä");
    for n in 0..12_u8 {
        change(u64::from(n) * 130, &[n; 90]);
    }
    mark("worked");
    volume.rewind("empty").expect("a rewind");
    change(500, b"after the rewind");
    mark("after");
    volume.will_truncate(300).expect("saved");
    content.truncate(300).expect("shorter");
    volume.commit().expect("a moment");
    mark("short");
    mark("dropped");
    volume.drop_mark("dropped").expect("a drop");
    if half {
        content.inner().1 = 2;
        let error = volume.rewind("worked").expect_err("a rewind that nobody can finish");
        assert!(matches!(error, Error::HalfDone(_)), "{error}");
        volume.abandon();
    } else {
        volume.rewind("grown, with an ä").expect("a rewind");
        change(100, b"the present");
        volume.detach().expect("at rest");
    }
    fs::write(folder.join(DATABASE), content.content()).expect("the content");
}
