//! Many at once: writers of records and batches, one who dies, readers that reap, the way through several segments, and a sealer
//! that hands each over behind their backs.

use shuttle::sync::Mutex;

use crate::explorer::{Arc, explore, fence, thread};
use crate::format::{Place, Word};
use crate::heap::{Heap, get, owner, put, put_both};
use crate::ring::{Appended, Region, Step, abort, step};
use crate::sync::{AtomicU64, Ordering};

const WRITERS: u16 = 4;
const EACH: u64 = 4;
/// The slot of the one who dies.
const DEAD: u16 = 9;

fn dead(slot: u16) -> bool {
    slot == DEAD
}

/// The numbers of a writer, ascending.
fn number(slot: u16, nth: u64) -> u64 {
    u64::from(slot) * 100 + nth
}

/// What a writer appends, as one batch where `nth` says so: what comes, and how many.
fn some(log: &Heap, slot: u16, nth: u64) -> (Appended, u64) {
    if (u64::from(slot) + nth).is_multiple_of(2) && nth + 1 < EACH {
        (put_both(log, slot, [number(slot, nth), number(slot, nth + 1)]), 2)
    } else {
        (put(log, slot, number(slot, nth)), 1)
    }
}

/// Takes a place for a record and is killed.
fn die(log: &Heap) {
    let mut at = 0;
    loop {
        match step(log, at) {
            Step::Free if at + 48 > log.size() => return,
            Step::Free => {
                let mine = Word::reserved(Place { segment: log.id(), offset: at }, owner(DEAD), 8).raw();
                let word = log.word(at).expect("a word");
                if word.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    return;
                }
            }
            Step::Committed { next, .. } | Step::Aborted { next } | Step::Reserved { next, .. } => at = next,
            Step::Over => return,
            Step::Damaged => panic!("damaged at {at}"),
        }
    }
}

/// Each writer's numbers are there from the first one on, in order, each once.
fn in_order(found: &[u64]) {
    for slot in 1..=WRITERS {
        let of_writer = found.iter().copied().filter(|value| value / 100 == u64::from(slot));
        for (nth, value) in of_writer.enumerate() {
            assert_eq!(value, number(slot, nth as u64), "{found:?}");
        }
    }
}

#[test]
fn a_crowd_loses_nothing_and_tears_nothing() {
    explore(|| {
        let log = Heap::new((WRITERS as usize * EACH as usize + 2) * 48);
        let mut crowd = Vec::new();
        for slot in 1..=WRITERS {
            let log = Arc::clone(&log);
            crowd.push(thread::spawn(move || {
                let mut nth = 0;
                while nth < EACH {
                    let (outcome, count) = some(&log, slot, nth);
                    assert!(matches!(outcome, Appended::At(_)), "{outcome:?}");
                    nth += count;
                }
            }));
        }
        let victim = Arc::clone(&log);
        crowd.push(thread::spawn(move || die(&victim)));
        for _ in 0..2 {
            let log = Arc::clone(&log);
            crowd.push(thread::spawn(move || {
                let mut before = Vec::new();
                for _ in 0..3 {
                    let found = get(&log, dead);
                    assert!(found.starts_with(&before), "{found:?} after {before:?}");
                    in_order(&found);
                    before = found;
                }
            }));
        }
        for one in crowd {
            one.join().unwrap();
        }
        let found = get(&log, dead);
        in_order(&found);
        assert_eq!(found.len(), usize::from(WRITERS) * EACH as usize);
    });
}

/// Segments of few records each; what was sealed of them, and the flags that say so.
struct Volume {
    segments: Vec<Arc<Heap>>,
    gone: Vec<AtomicU64>,
    sealed: Mutex<Vec<Vec<u64>>>,
    current: AtomicU64,
}

impl Volume {
    const SEGMENTS: usize = 8;
    /// Records of a segment.
    const ROOM: usize = 3;

    fn new() -> Arc<Self> {
        Arc::new(Self {
            segments: (1..=Self::SEGMENTS as u32)
                .map(|id| Heap::numbered(id, Self::ROOM * 48 + 40))
                .collect(),
            gone: (0..Self::SEGMENTS).map(|_| AtomicU64::new(0)).collect(),
            sealed: Mutex::new(Vec::new()),
            current: AtomicU64::new(0),
        })
    }

    /// As `Segment::is_gone`.
    fn is_gone(&self, segment: usize) -> bool {
        fence(Ordering::Acquire);
        self.gone[segment].load(Ordering::Relaxed) == 1
    }

    /// As `Store::append`: in the last segment there is, or in the next one. What was put into a segment that is gone is lost.
    fn append(&self, slot: u16, nth: u64) -> u64 {
        loop {
            let current = self.current.load(Ordering::Acquire) as usize;
            let (outcome, count) = some(&self.segments[current], slot, nth);
            match outcome {
                Appended::At(_) if !self.is_gone(current) || self.has(current, number(slot, nth)) => {
                    return count;
                }
                Appended::Full => drop(self.current.fetch_max(current as u64 + 1, Ordering::Release)),
                Appended::At(_) | Appended::Damaged(_) if self.is_gone(current) => {
                    self.current.fetch_max(current as u64 + 1, Ordering::Release);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// As `Store::has`.
    fn has(&self, segment: usize, value: u64) -> bool {
        self.sealed.lock().unwrap()[segment].contains(&value)
    }

    /// As `Store::seal_some`: the oldest segment that the log has left, once nobody is in the midst of a record of it.
    fn seal(&self) {
        let segment = self.sealed.lock().unwrap().len();
        if segment as u64 >= self.current.load(Ordering::Acquire) {
            return;
        }
        let log = &self.segments[segment];
        let mut at = 0;
        loop {
            match step(&**log, at) {
                Step::Committed { next, .. } | Step::Aborted { next } => at = next,
                Step::Reserved { owner, len, .. } if dead(owner.slot) => {
                    abort(&**log, Place { segment: log.id(), offset: at }, owner, len);
                }
                Step::Reserved { .. } => return,
                Step::Over => break,
                other => panic!("{other:?} at {at} of a segment that was left"),
            }
        }
        let records = get(log, dead);
        self.sealed.lock().unwrap().push(records);
        self.gone[segment].store(1, Ordering::SeqCst);
        for word in &log.words {
            word.store(0, Ordering::Release);
        }
    }

    /// As `Inner::walk`: what stands in a segment, of the sealed file if its memory is gone by the end. `false` if a
    /// record is in flight there, or it is not full: nothing behind may be looked at.
    fn records(&self, segment: usize, found: &mut Vec<u64>) -> bool {
        let before = found.len();
        let log = &self.segments[segment];
        let mut at = 0;
        loop {
            let step = step(&**log, at);
            let value = matches!(step, Step::Committed { len: 8, .. }).then(|| {
                let mut value = [0; 8];
                assert!(log.read(at + 40, &mut value));
                u64::from_le_bytes(value)
            });
            if self.is_gone(segment) {
                found.truncate(before);
                found.extend(&self.sealed.lock().unwrap()[segment]);
                return true;
            }
            match step {
                Step::Committed { next, .. } => {
                    found.extend(value);
                    at = next;
                }
                Step::Aborted { next } => at = next,
                Step::Reserved { owner, len, .. } if dead(owner.slot) => {
                    abort(&**log, Place { segment: log.id(), offset: at }, owner, len);
                }
                Step::Reserved { .. } | Step::Free => return false,
                Step::Over => return true,
                Step::Damaged => panic!("damaged at {at}"),
            }
        }
    }

    fn all(&self) -> Vec<u64> {
        let last = self.current.load(Ordering::Acquire) as usize;
        let mut found = Vec::new();
        let _stopped = (0..=last).find(|segment| !self.records(*segment, &mut found));
        found
    }
}

#[test]
fn a_crowd_goes_through_segments_that_are_sealed_behind_it() {
    explore(|| {
        let volume = Volume::new();
        let mut crowd = Vec::new();
        for slot in 1..=WRITERS - 1 {
            let volume = Arc::clone(&volume);
            crowd.push(thread::spawn(move || {
                let mut nth = 0;
                while nth < EACH {
                    nth += volume.append(slot, nth);
                }
            }));
        }
        let victim = Arc::clone(&volume);
        crowd.push(thread::spawn(move || die(&victim.segments[0])));
        let sealer = Arc::clone(&volume);
        crowd.push(thread::spawn(move || (0..5).for_each(|_| sealer.seal())));
        let reader = Arc::clone(&volume);
        crowd.push(thread::spawn(move || (0..2).for_each(|_| in_order(&reader.all()))));
        for one in crowd {
            one.join().unwrap();
        }
        let found = volume.all();
        in_order(&found);
        assert_eq!(found.len(), usize::from(WRITERS - 1) * EACH as usize, "{found:?}");
    });
}
