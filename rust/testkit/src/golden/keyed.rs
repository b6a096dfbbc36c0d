//! A golden store of a volume of records under keys, beside one of blocks that is forgotten: rewinds that were taken back, and a content that does
//! not outlast a power cut.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dbrewind_core::{Key, Lsn, Source, Store, StoreOptions, Timeline};
use dbrewind_volume::{AttachOptions, Error, KeyedMedium, Memory, Storage, Synchronous, Volume, VolumeStore};

use super::{DATABASE, STATES, STORE};

const NAME: &str = "golden";
const FORGOTTEN: &str = "gone";

/// The records by key, and how many writes succeed before one fails.
type Content = (BTreeMap<u64, Vec<u8>>, Option<u32>);

/// Records in memory of which the tests say that they outlast a power cut.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Content>>);

impl Records {
    /// With what [`content`](Self::content) told.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn new(content: &[u8]) -> Self {
        Self(Arc::new(Mutex::new((parse(content).expect("records"), None))))
    }

    /// All records, by key: the key (8 bytes), the length (4), the record.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        encode(&self.inner().0)
    }

    fn inner(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a write; the error of the one that fails.
    fn count(&self) -> io::Result<()> {
        let mut inner = self.inner();
        let left = inner.1;
        inner.1 = left.and_then(|left| left.checked_sub(1));
        if left == Some(0) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

fn encode(records: &BTreeMap<u64, Vec<u8>>) -> Vec<u8> {
    let one = |(key, record): (&u64, &Vec<u8>)| {
        let len = u32::try_from(record.len()).expect("a short record");
        [&key.to_le_bytes()[..], &len.to_le_bytes(), record].concat()
    };
    records.iter().flat_map(one).collect()
}

fn parse(mut content: &[u8]) -> Option<BTreeMap<u64, Vec<u8>>> {
    let mut records = BTreeMap::new();
    while !content.is_empty() {
        let (key, rest) = content.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        records.insert(u64::from_le_bytes(*key), record.to_vec());
        content = rest;
    }
    Some(records)
}

impl Storage for Records {
    fn lock(&self, _timeout: Duration) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) {}

    fn syncs(&self) -> bool {
        true
    }

    fn identity(&self) -> io::Result<Vec<u8>> {
        Ok(b"these records".to_vec())
    }
}

impl KeyedMedium for Records {
    fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool> {
        let inner = self.inner();
        let Some(record) = inner.0.get(&key) else { return Ok(false) };
        into.extend_from_slice(record);
        Ok(true)
    }

    fn write(&self, key: u64, record: &[u8]) -> io::Result<()> {
        self.count()?;
        self.inner().0.insert(key, record.to_vec());
        Ok(())
    }

    fn remove(&self, key: u64) -> io::Result<()> {
        self.count()?;
        self.inner().0.remove(&key);
        Ok(())
    }
}

/// Attaches records to the volume of a golden store, or of a copy of one.
///
/// # Errors
/// The volume's.
pub fn attach_keyed(store: &Path, records: &Records) -> Result<Volume, Error> {
    let store = VolumeStore::open(store, &dbrewind_volume::StoreSettings::default())?;
    Volume::attach_keyed(&store, NAME, records.clone(), &AttachOptions::default())
}

/// All the records at a moment, as [`Records::content`] tells them.
pub(super) fn state(store: &Store, timeline: &Timeline, at: Lsn, present: &[u8]) -> Result<Vec<u8>, String> {
    let mut records = parse(present).ok_or("the content is no records")?;
    let plan = timeline.plan(timeline.last(), at).map_err(|error| error.to_string())?;
    for (key, source) in plan.items {
        let Source::Record(at) = source else { continue };
        let image = store.read(at).map_err(|error| error.to_string())?.body;
        let key = Key::get(key).checked_sub(1).ok_or("key 0")?;
        match image.split_first() {
            Some((1, record)) => drop(records.insert(key, record.to_vec())),
            Some(_) => return Err(format!("no image of a record: {image:?}")),
            None => drop(records.remove(&key)),
        }
    }
    Ok(encode(&records))
}

pub(super) fn write(folder: &Path) {
    let dir = folder.join(STORE);
    // Begun here, so that the segments are small.
    let small = StoreOptions { first_segment: 4096, ..StoreOptions::default() };
    drop(Store::open(&dir, &small).expect("a store"));
    forgotten(&dir);
    let records = Records::default();
    let volume = attach_keyed(&dir, &records).expect("a volume");
    let mark = |name: &str| {
        let lsn = volume.mark(name).expect("a mark").lsn;
        fs::write(folder.join(STATES).join(lsn.to_string()), records.content()).expect("a state");
    };
    let change = |changes: &[(u64, Option<&[u8]>)]| {
        volume.enter().expect("entered");
        for (key, record) in changes {
            volume.will_change(*key).expect("saved");
            let mut inner = records.inner();
            match record {
                Some(record) => drop(inner.0.insert(*key, record.to_vec())),
                None => drop(inner.0.remove(key)),
            }
        }
        volume.commit().expect("a moment");
    };
    mark("empty");
    change(&[(0, Some(b"the first key")), (u64::MAX - 1, Some(b"the last key")), (7, Some(b""))]);
    mark("grown, with an ä");
    for n in 0..8_u8 {
        change(&[
            (u64::from(n % 5), Some(&vec![n; 200 + usize::from(n)])),
            (1000 + u64::from(n), Some(&[n])),
        ]);
    }
    mark("worked");
    records.inner().1 = Some(2);
    volume.rewind("empty").expect_err("the medium fails");
    change(&[(7, None), (0, None)]);
    mark("after a rewind that was taken back");
    volume.rewind("grown, with an ä").expect("a rewind");
    change(&[(7, Some(b"after the rewind"))]);
    mark("after");
    mark("dropped");
    volume.drop_mark("dropped").expect("a drop");
    change(&[(8, Some(b"the present"))]);
    volume.detach().expect("at rest");
    fs::write(folder.join(DATABASE), records.content()).expect("the content");
}

/// A volume of blocks in memory that nobody records into any more.
fn forgotten(dir: &Path) {
    let store = VolumeStore::open(dir, &dbrewind_volume::StoreSettings::default()).expect("a store");
    let options = AttachOptions { synchronous: Synchronous::Off, ..AttachOptions::default() };
    let memory = Memory::new(&[0x11; 200]);
    let volume = Volume::attach(&store, FORGOTTEN, 64, memory.clone(), &options).expect("a volume");
    volume.mark("of the forgotten one").expect("a mark");
    let mut locked = memory.locked();
    volume.enter().expect("entered");
    volume.will_write(100, 10).expect("saved");
    locked.edit(|bytes| bytes[100..110].copy_from_slice(b"overwrites"));
    volume.commit().expect("a moment");
    drop(locked);
    volume.rewind("of the forgotten one").expect("a rewind");
    volume.detach().expect("at rest");
    store.forget(FORGOTTEN).expect("forgotten");
}
