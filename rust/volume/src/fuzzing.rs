//! What the fuzz target needs of the inside: the notes and images that are decoded here, alone and in a history that may say
//! anything. Only with the feature `fuzzing`; nothing here is for users, and nothing is promised about it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dbrewind_core::{
    CommitBody, EraBody, Extent, Head, Key, Kind, Lsn, MarkBody, MarkName, RewindBody, Store, StoreOptions,
    Timestamp,
};

use crate::blocks::{Blocks, LENGTH};
use crate::content::{Content, image_of_record, key_of_record};
use crate::intent::{Intent, tag};
use crate::{AttachOptions, Code, KeyedMedium, Memory, Storage, Synchronous, Volume, VolumeStore};

const BLOCK: u32 = 16;
const MOST_RECORDS: usize = 40;

/// Hands the bytes after the first to what the first one chooses. `folder` is where nothing is yet, and may be left there. Panics if
/// they are handled wrongly.
pub fn decoders(data: &[u8], folder: &Path) {
    let Some((which, bytes)) = data.split_first() else { return };
    match which % 4 {
        0 => {
            if let Some(intent) = Intent::decode(bytes) {
                assert_eq!(intent.encode(), bytes);
            }
        }
        1 => images_of_blocks(bytes),
        2 => images_of_records(bytes),
        _ => history(bytes, folder),
    }
}

/// What a NOTE's body says, in words: a golden store compares it. `None` if it does not decode.
#[must_use]
pub fn describe_note(tag: u64, body: &[u8]) -> Option<String> {
    match tag {
        tag::OPENED => body.is_empty().then(|| "opened".to_owned()),
        tag::CLOSED => Some(format!("closed {body:?}")),
        tag::INTENT => Intent::decode(body).map(|intent| format!("{intent:?}")),
        _ => None,
    }
}

/// What is recorded of an image leads back to it; other bytes are refused, or are what is written.
fn images_of_blocks(bytes: &[u8]) {
    let Some((&[key, size], bytes)) = bytes.split_first_chunk() else { return };
    let Ok(blocks) = Blocks::new(BLOCK) else { return };
    let (key, size) = (u64::from(key % 8), u64::from(size % 64));
    let memory = Memory::new(&vec![0xee; usize::from(size as u8)]);
    let content = Content::Blocks(blocks, Box::new(memory.clone()));
    let mut image = bytes.to_vec();
    content.lengthen(&mut image);
    let right = content.check_image(&image).is_ok();
    assert_eq!(right, bytes.is_empty() || bytes.len() == BLOCK as usize);
    if !right || key <= LENGTH {
        return;
    }
    let mut again = content.shortened(key, &image).to_vec();
    content.lengthen(&mut again);
    assert_eq!(again, image);
    assert!(content.write_image(key, size, &image).is_ok());
    assert!(content.read_image(key, size, &mut again).is_ok());
    let (_, there) = blocks.part_of(key, size);
    assert_eq!(again.get(..there), image.get(..there));
    assert_eq!(memory.locked().content().len() as u64, size);
}

fn images_of_records(bytes: &[u8]) {
    let records = Records::default();
    let content = Content::Records(Box::new(records));
    let Ok(key) = key_of_record(7) else { return };
    let mut image = Vec::new();
    assert!(content.read_image(key, 0, &mut image).is_ok() && image.is_empty());
    if content.check_image(bytes).is_ok() {
        assert!(content.write_image(key, 0, bytes).is_ok());
        assert!(content.read_image(key, 0, &mut image).is_ok());
        assert_eq!(image, bytes);
    }
    assert!(image_of_record(Some(bytes), &mut image).is_ok());
    assert!(content.check_image(&image).is_ok());
}

/// Records in memory.
#[derive(Default)]
struct Records(Mutex<BTreeMap<u64, Vec<u8>>>);

impl Storage for Records {
    fn lock(&self, _timeout: Duration) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) {}
}

impl KeyedMedium for Records {
    fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = records.get(&key) else { return Ok(false) };
        into.extend_from_slice(record);
        Ok(true)
    }

    fn write(&self, key: u64, record: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, record.to_vec());
        Ok(())
    }

    fn remove(&self, key: u64) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        Ok(())
    }
}

/// A volume, records that anybody may have appended to its history, and all that can be asked of it then.
fn history(bytes: &[u8], folder: &Path) {
    let options = StoreOptions { first_segment: 16 << 10, max_segment: 16 << 10, limit: 1 << 20 };
    let Ok(store) = Store::open(folder, &options) else { return };
    let store = VolumeStore(store);
    let memory = Memory::new(&[0x11; 64]);
    let attach = AttachOptions { synchronous: Synchronous::Off, ..AttachOptions::default() };
    let attached = || Volume::attach(&store, "v", BLOCK, memory.clone(), &attach);
    let Ok(volume) = attached() else { return };
    let object = volume.object;
    let sound = [volume.mark("first"), volume.mark("second")];
    assert!(sound.iter().all(Result::is_ok));
    assert!(volume.detach().is_ok());
    let mut bytes = bytes;
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at(count.min(bytes.len()));
        bytes = rest;
        taken
    };
    let in_flight = take(1).first().map_or(0, |byte| u64::from(byte % 4));
    for _ in 0..MOST_RECORDS {
        let [kind, key, lsn, number, len] = *take(5) else { break };
        let [key, lsn, number] = [key, lsn, number].map(u64::from);
        let (kind, key, body) = record((kind, key), (lsn, number), take(usize::from(len % 48)));
        let head = Head { kind, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn % 24) };
        if store.0.append(head, &[&body]).is_err() {
            break;
        }
    }
    store.0.set_register(object, 0, in_flight);
    for _ in 0..2 {
        match attached() {
            Ok(volume) => ask(&volume),
            Err(error) => is_fitting(&error),
        }
        assert!(memory.locked().content().len() <= 1 << 10);
    }
}

fn record((kind, key): (u8, u64), (lsn, number): (u64, u64), bytes: &[u8]) -> (Kind, u64, Vec<u8>) {
    let (time, extent) = (Timestamp::new(number), Extent::new(number % 8));
    let [from, target] = [lsn % 16, number % 16].map(Lsn::new);
    match kind % 9 {
        0 => {
            let (synced, cancelled) = (number & 1 == 1, number & 6 == 6);
            let intent = Intent { from: target, target: Lsn::new(key % 16), extent, time, synced, cancelled };
            (Kind::Note, tag::INTENT, intent.encode().to_vec())
        }
        1 => (Kind::Note, tag::INTENT, bytes.to_vec()),
        2 => (Kind::Note, tag::CLOSED, bytes.to_vec()),
        3 => (Kind::Note, tag::OPENED, bytes.to_vec()),
        4 => (Kind::Before, key % 8, bytes.to_vec()),
        5 => (Kind::Before, LENGTH, (number % 128).to_le_bytes().to_vec()),
        6 => (Kind::Commit, 0, CommitBody { time, extent }.encode()),
        7 => (Kind::Rewind, key % 16, RewindBody { time, extent, from, note: bytes }.encode()),
        _ if number & 1 == 0 => match MarkName::new(if key & 1 == 0 { "a" } else { "b" }) {
            Ok(name) => (Kind::Mark, 0, MarkBody { time, extent, name, note: bytes }.encode()),
            Err(_) => (Kind::Note, 0, Vec::new()),
        },
        _ => (Kind::Era, 2, EraBody { time, extent, broken: number & 2 == 2 }.encode()),
    }
}

fn ask(volume: &Volume) {
    let told = |result: Result<(), crate::Error>| result.unwrap_or_else(|error| is_fitting(&error));
    told(volume.enter());
    told(volume.marks().map(drop));
    told(volume.status().map(drop));
    for target in ["first", "a", "second", "b"] {
        told(volume.dirty_since(target).map(drop));
        told(volume.rewind(target).map(drop));
    }
    told(volume.mark("own").map(drop));
    told(volume.now().map(drop));
    told(volume.rewind("own").map(drop));
}

/// No error is one of ours.
fn is_fitting(error: &crate::Error) {
    assert_ne!(error.code(), Code::Internal, "{error}");
}
