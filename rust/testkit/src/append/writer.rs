//! A process that appends until it is killed.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dbrewind_core::{Cursor, Need, ObjectId, Store};
use serde::{Deserialize, Serialize};

use super::record::{body, head, options};
use crate::seed::Rng;

/// What a writer is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Life {
    /// The store.
    pub folder: PathBuf,
    /// Which writer: the object it appends to.
    pub writer: u32,
    /// Choices.
    pub seed: u64,
    /// The store's: how large its segments are.
    pub store_seed: u64,
    /// It appends nothing, but reserves room for a record, says so, and sleeps until it is killed.
    pub sleeps_reserved: bool,
}

/// The object whose first register tells the writers to append as fast as they can; else the reader could not follow.
pub(super) const PACE: ObjectId = ObjectId::new(100);

/// Where a writer says how far it is: outside of the store, so that the store cannot vouch for itself.
pub(super) fn told_by(folder: &Path, writer: u32) -> PathBuf {
    folder.with_extension(format!("told-{writer}"))
}

/// What is there once a writer sleeps on a reservation.
pub(super) fn asleep_by(folder: &Path, writer: u32) -> PathBuf {
    folder.with_extension(format!("asleep-{writer}"))
}

/// The number of the newest record whose append has returned.
pub(super) fn told(folder: &Path, writer: u32) -> u64 {
    let mut word = [0; 8];
    let read = File::open(told_by(folder, writer)).and_then(|file| file.read_exact_at(&mut word, 0));
    read.map_or(0, |()| u64::from_le_bytes(word))
}

/// Appends records, numbered without a gap over all lives, until it is killed.
pub fn write(life: &Life) -> ! {
    let mut rng = Rng::new(life.seed);
    let told =
        OpenOptions::new().create(true).truncate(false).write(true).open(told_by(&life.folder, life.writer));
    let told = told.expect("a file to tell in");
    let store = Store::open(&life.folder, &options(life.store_seed)).expect("the store opens");
    // The life before may have ended between its last append and telling.
    let mut last = 0;
    let mut cursor = Cursor::default();
    let mut scan = || {
        store.scan_whole(&mut cursor, &mut |head, _, _| {
            if head.object.get() == life.writer {
                last = last.max(head.lsn.get());
            }
        })
    };
    // Another one that gets no processor may hide its end.
    while !scan().expect("the log is whole") {}
    if life.sleeps_reserved {
        let next = (head(life.writer, last + 1), body(life.writer, last + 1));
        let _reserved = store.reserve(Need::Keep, vec![next]).expect("room");
        File::create(asleep_by(&life.folder, life.writer)).expect("telling");
        loop {
            std::thread::park();
        }
    }
    loop {
        let fast = store.register(PACE, 0) != 0;
        for _ in 0..if fast { 20 } else { 1 } {
            let count = match rng.below(20) {
                0 => 2 + rng.below(10),
                1 => 2 + rng.below(80),
                _ => 1,
            };
            let bodies: Vec<Vec<u8>> = (1..=count).map(|i| body(life.writer, last + i)).collect();
            if count == 1 {
                let (left, right) = bodies[0].split_at(bodies[0].len() / 3);
                store.append(head(life.writer, last + 1), &[left, right]).expect("room");
            } else {
                let heads = (1..=count).map(|i| head(life.writer, last + i));
                let records: Vec<_> = heads.zip(bodies.iter().map(Vec::as_slice)).collect();
                store.append_batch(&records).expect("room");
            }
            last += count;
            told.write_all_at(&last.to_le_bytes(), 0).expect("telling");
        }
        if !fast {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
