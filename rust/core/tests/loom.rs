//! Models of the log's protocol: every interleaving of a few writers, readers and reapers.
//!
//! Compiles `src/ring` once more, against loom's atomics instead of the processor's. Run it with
//! `RUSTFLAGS="--cfg loom" cargo test -p dbrewind-core --release --test loom --target-dir target/loom`.
#![cfg(loom)]
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a model that cannot go on fails")]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[path = "."]
mod format {
    #[expect(dead_code, reason = "the models need less of it than the store")]
    #[path = "../src/format/word.rs"]
    mod word;
    pub(crate) use word::{HEADER, Owner, Place, State, Word, span};
}

#[path = "../src/ring/mod.rs"]
mod ring;

#[path = "loom_models/roll.rs"]
mod roll;

#[path = "loom_models/seal.rs"]
mod seal;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::format::{Owner, Place};
use crate::ring::{Appended, Region, Step, abort, append, append_batch, step};
use crate::sync::AtomicU64;

/// A segment on the heap. Words of headers are loom's atomics; all other bytes are cells, for which
/// loom reports a read that is not ordered after the write.
struct Heap {
    id: u32,
    words: Vec<AtomicU64>,
    cells: Vec<UnsafeCell<u64>>,
}

// SAFETY: loom checks every access to the cells.
#[expect(unsafe_code, reason = "cells that loom watches")]
unsafe impl Sync for Heap {}

impl Heap {
    fn new(size: usize) -> Arc<Self> {
        Self::numbered(1, size)
    }

    fn numbered(id: u32, size: usize) -> Arc<Self> {
        let words = (0..size / 8).map(|_| AtomicU64::new(0)).collect();
        let cells = (0..size / 8).map(|_| UnsafeCell::new(0)).collect();
        Arc::new(Self { id, words, cells })
    }
}

#[expect(unsafe_code, reason = "cells that loom watches")]
impl Region for Heap {
    fn id(&self) -> u32 {
        self.id
    }

    fn size(&self) -> u32 {
        self.words.len() as u32 * 8
    }

    fn word(&self, at: u32) -> Option<&AtomicU64> {
        if at.is_multiple_of(8) { self.words.get(at as usize / 8) } else { None }
    }

    fn write(&self, at: u32, bytes: &[u8]) -> bool {
        for (i, eight) in bytes.chunks(8).enumerate() {
            let mut value = [0; 8];
            value[..eight.len()].copy_from_slice(eight);
            // SAFETY: loom fails the model if anybody else reads or writes it now.
            self.cells[at as usize / 8 + i].with_mut(|cell| unsafe { *cell = u64::from_le_bytes(value) });
        }
        true
    }

    fn read(&self, at: u32, out: &mut [u8]) -> bool {
        for (i, eight) in out.chunks_mut(8).enumerate() {
            // SAFETY: loom fails the model if anybody writes it now, or wrote it in no known order.
            let value = self.cells[at as usize / 8 + i].with(|cell| unsafe { *cell });
            eight.copy_from_slice(&value.to_le_bytes()[..eight.len()]);
        }
        true
    }
}

fn owner(slot: u16) -> Owner {
    Owner { slot, generation: 1 }
}

/// Appends a record of eight bytes: an integer.
fn put(log: &Heap, slot: u16, value: u64) -> Appended {
    append(log, 0, owner(slot), &[&value.to_le_bytes()], 8, |_| {}, |_| [1; 32])
}

/// Appends two such records as one batch.
fn put_both(log: &Heap, slot: u16, values: [u64; 2]) -> Appended {
    let bodies = values.map(u64::to_le_bytes);
    let bodies = bodies.iter().map(<[u8; 8]>::as_slice);
    append_batch(log, 0, owner(slot), bodies, |_| {}, |_, _| [1; 32], None::<fn(u32, &[&[u8]]) -> bool>)
}

/// All committed integers up to the first free or reserved word; gives dead owners' records up.
fn get(log: &Heap, dead: impl Fn(u16) -> bool) -> Vec<u64> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        match step(log, at) {
            Step::Committed { len, next } => {
                let mut kind = [0; 1];
                assert!(log.read(at + 8, &mut kind));
                if kind == [1] {
                    assert_eq!(len, 8);
                    let mut value = [0; 8];
                    assert!(log.read(at + 40, &mut value));
                    found.push(u64::from_le_bytes(value));
                }
                at = next;
            }
            Step::Aborted { next } => at = next,
            Step::Reserved { owner, len, .. } if dead(owner.slot) => {
                abort(log, Place { segment: log.id(), offset: at }, owner, len);
            }
            Step::Reserved { .. } | Step::Free | Step::Over => return found,
            Step::Damaged => panic!("damaged at {at}"),
        }
    }
}

fn alive(_: u16) -> bool {
    false
}

#[test]
fn two_writers_get_places_of_their_own() {
    loom::model(|| {
        let log = Heap::new(4 * 48);
        let writers: Vec<_> = [(1, 10), (2, 20)]
            .map(|(slot, value)| {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    assert!(matches!(put(&log, slot, value), Appended::At(_)));
                    assert!(matches!(put(&log, slot, value + 1), Appended::At(_)));
                })
            })
            .into_iter()
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let found = get(&log, alive);
        assert_eq!(found.len(), 4);
        for first in [10, 20] {
            let at = |value| found.iter().position(|found| *found == value).unwrap();
            assert!(at(first) < at(first + 1));
        }
    });
}

#[test]
fn a_reader_sees_whole_records_and_a_growing_log() {
    loom::model(|| {
        let log = Heap::new(3 * 48);
        let writer = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                put(&log, 1, 10);
                put(&log, 1, 11);
            })
        };
        let (once, again) = (get(&log, alive), get(&log, alive));
        assert!([10, 11].starts_with(&once));
        assert!(again.starts_with(&once));
        writer.join().unwrap();
        assert_eq!(get(&log, alive), [10, 11]);
    });
}

#[test]
fn a_writer_that_is_given_up_learns_it() {
    loom::model(|| {
        let log = Heap::new(3 * 48);
        let writer = {
            let log = Arc::clone(&log);
            thread::spawn(move || put(&log, 1, 10))
        };
        // A reader that takes the writer for dead, though it is not.
        let seen = get(&log, |slot| slot == 1);
        let outcome = writer.join().unwrap();
        let left = get(&log, alive);
        match outcome {
            Appended::At(_) => assert_eq!(left, [10]),
            Appended::Aborted => assert_eq!((seen.len(), left.len()), (0, 0)),
            other => panic!("{other:?}"),
        }
        assert!(matches!(put(&log, 1, 11), Appended::At(_)));
        assert_eq!(get(&log, alive).last(), Some(&11));
    });
}

#[test]
fn a_batch_counts_as_a_whole_or_not_at_all() {
    loom::model(|| {
        let log = Heap::new(4 * 48);
        let writer = {
            let log = Arc::clone(&log);
            thread::spawn(move || put_both(&log, 1, [10, 11]))
        };
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || put(&log, 2, 20))
        };
        // A reader that takes the writer for dead, though it is not.
        let seen = get(&log, |slot| slot == 1);
        let outcome = writer.join().unwrap();
        assert!(matches!(other.join().unwrap(), Appended::At(_)));
        let left = get(&log, alive);
        match outcome {
            Appended::At(_) => assert!(left == [10, 11, 20] || left == [20, 10, 11], "{left:?}"),
            Appended::Aborted => assert_eq!(left, [20]),
            other => panic!("{other:?}"),
        }
        assert!(seen.iter().filter(|value| **value < 20).count() != 1, "half a batch was seen");
        assert!(seen.iter().all(|value| left.contains(value)));
    });
}

#[test]
fn two_reapers_and_a_writer_agree() {
    loom::model(|| {
        let log = Heap::new(3 * 48);
        let dead = {
            let log = Arc::clone(&log);
            thread::spawn(move || put(&log, 1, 10))
        };
        let reaper = {
            let log = Arc::clone(&log);
            thread::spawn(move || get(&log, |slot| slot == 1).len())
        };
        let here = get(&log, |slot| slot == 1).len();
        let outcome = dead.join().unwrap();
        let there = reaper.join().unwrap();
        let left = get(&log, alive).len();
        assert_eq!(left, usize::from(matches!(outcome, Appended::At(_))));
        assert!(here <= left && there <= left, "a record was seen and then given up");
    });
}

#[test]
fn the_end_is_written_once_and_nothing_follows_it() {
    loom::model(|| {
        // Room for one record and a header.
        let log = Heap::new(48 + 40);
        let writers: Vec<_> = [(1, 10), (2, 20)]
            .map(|(slot, value)| {
                let log = Arc::clone(&log);
                thread::spawn(move || put(&log, slot, value))
            })
            .into_iter()
            .collect();
        let outcomes: Vec<Appended> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Appended::At(0)).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Appended::Full).count(), 1);
        assert_eq!(get(&log, alive).len(), 1);
        assert_eq!(put(&log, 3, 30), Appended::Full);
    });
}
