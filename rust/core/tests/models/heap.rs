//! A segment in memory that the explorer watches, and the calls of the log on it.

use crate::explorer::{Arc, Cell};
use crate::format::{Owner, Place};
use crate::ring::{Appended, LaidBatch, Region, Step, abort, append, append_batch, lay_batch, step};
use crate::sync::AtomicU64;

/// A segment on the heap. Words of headers are the explorer's atomics, all other bytes its cells.
pub(crate) struct Heap {
    id: u32,
    pub(crate) words: Vec<AtomicU64>,
    cells: Vec<Cell>,
}

impl Heap {
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Self::numbered(1, size)
    }

    pub(crate) fn numbered(id: u32, size: usize) -> Arc<Self> {
        let words = (0..size / 8).map(|_| AtomicU64::new(0)).collect();
        let cells = (0..size / 8).map(|_| Cell::default()).collect();
        Arc::new(Self { id, words, cells })
    }
}

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
            self.cells[at as usize / 8 + i].set(u64::from_le_bytes(value));
        }
        true
    }

    fn read(&self, at: u32, out: &mut [u8]) -> bool {
        for (i, eight) in out.chunks_mut(8).enumerate() {
            let value = self.cells[at as usize / 8 + i].get();
            eight.copy_from_slice(&value.to_le_bytes()[..eight.len()]);
        }
        true
    }
}

pub(crate) fn owner(slot: u16) -> Owner {
    Owner { slot, generation: 1 }
}

/// Appends a record of eight bytes: an integer.
pub(crate) fn put(log: &Heap, slot: u16, value: u64) -> Appended {
    append(log, 0, owner(slot), &[&value.to_le_bytes()], 8, |_| {}, |_| [1; 32])
}

/// Appends two such records as one batch.
pub(crate) fn put_both(log: &Heap, slot: u16, values: [u64; 2]) -> Appended {
    let bodies = values.map(u64::to_le_bytes);
    let bodies = bodies.iter().map(<[u8; 8]>::as_slice);
    append_batch(log, 0, owner(slot), bodies, |_| {}, |_, _| [1; 32], None::<fn(u32, &[&[u8]]) -> bool>)
}

/// Two records that stand there, and do not count yet.
pub(crate) fn lay_both(log: &Heap, slot: u16, values: [u64; 2]) -> Result<LaidBatch, Appended> {
    let bodies = values.map(u64::to_le_bytes);
    let bodies = bodies.iter().map(<[u8; 8]>::as_slice);
    lay_batch(log, 0, owner(slot), bodies, |_| {}, |_, _| [1; 32], None::<fn(u32, &[&[u8]]) -> bool>)
}

pub(crate) fn settle(log: &Heap, slot: u16, laid: LaidBatch, counts: bool) -> bool {
    if !counts {
        laid.abort(log, owner(slot));
    }
    counts && laid.commit(log, owner(slot))
}

/// All committed integers up to the first free or reserved word; gives dead owners' records up.
pub(crate) fn get(log: &Heap, dead: impl Fn(u16) -> bool) -> Vec<u64> {
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

pub(crate) fn alive(_: u16) -> bool {
    false
}
