//! A segment in memory that the explorer watches, and the calls of the log on it.

use crate::explorer::{Arc, Cell};
use crate::format::{Owner, Place};
use crate::ring::{Appended, Gone, LaidBatch, Region, Step, abort, append, append_batch, lay_batch, step};
use crate::sync::{AtomicU64, Ordering};

/// The kind of a record that ends a segment.
const END: u8 = 255;

/// A segment on the heap. Words of headers are the explorer's atomics, all other bytes its cells.
pub(crate) struct Heap {
    id: u32,
    pub(crate) words: Vec<AtomicU64>,
    bytes: Bytes,
    gone: Gone,
}

/// What is not a word of a header.
enum Bytes {
    /// Watched: nobody reads what somebody else may be writing.
    Watched(Vec<Cell>),
    /// Zeros may come meanwhile. A copy of plain bytes is relaxed.
    Fleeting(Vec<AtomicU64>),
}

impl Heap {
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Self::numbered(1, size)
    }

    pub(crate) fn numbered(id: u32, size: usize) -> Arc<Self> {
        let words = (0..size / 8).map(|_| AtomicU64::new(0)).collect();
        let cells = (0..size / 8).map(|_| Cell::default()).collect();
        Arc::new(Self { id, words, bytes: Bytes::Watched(cells), gone: Gone::new() })
    }

    /// One that is let go of while others use it.
    pub(crate) fn fleeting(id: u32, size: usize) -> Arc<Self> {
        let zeros = || (0..size / 8).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { id, words: zeros(), bytes: Bytes::Fleeting(zeros()), gone: Gone::new() })
    }

    /// As `Segment::let_go`. The system puts zeros in place of the pages by a call that stops every thread which has the old ones.
    /// A model has no such call; the zeros come one by one instead, each a release, which is less.
    pub(crate) fn let_go(&self) {
        self.gone.let_go(|| {
            let Bytes::Fleeting(bytes) = &self.bytes else { panic!("others would read it") };
            for word in self.words.iter().chain(bytes) {
                word.store(0, Ordering::Release);
            }
        });
    }

    /// The integer of a record that counts; `None` for an end.
    pub(crate) fn value(&self, at: u32) -> Option<u64> {
        let (mut kind, mut value) = ([0; 1], [0; 8]);
        assert!(self.read(at + 8, &mut kind));
        if kind == [END] {
            return None;
        }
        // An end has no body; it seems to be a record where there are zeros in its place.
        self.read(at + 40, &mut value).then(|| u64::from_le_bytes(value))
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

    fn gone(&self) -> &Gone {
        &self.gone
    }

    fn write(&self, at: u32, bytes: &[u8]) -> bool {
        for (i, eight) in bytes.chunks(8).enumerate() {
            let mut value = [0; 8];
            value[..eight.len()].copy_from_slice(eight);
            let (at, value) = (at as usize / 8 + i, u64::from_le_bytes(value));
            match &self.bytes {
                Bytes::Watched(cells) => cells[at].set(value),
                Bytes::Fleeting(bytes) => bytes[at].store(value, Ordering::Relaxed),
            }
        }
        true
    }

    fn read(&self, at: u32, out: &mut [u8]) -> bool {
        if at as usize + out.len() > self.words.len() * 8 {
            return false;
        }
        for (i, eight) in out.chunks_mut(8).enumerate() {
            let at = at as usize / 8 + i;
            let value = match &self.bytes {
                Bytes::Watched(cells) => cells[at].get(),
                Bytes::Fleeting(bytes) => bytes[at].load(Ordering::Relaxed),
            };
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
                let value = log.value(at);
                assert!(len == 8 || value.is_none());
                found.extend(value);
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
