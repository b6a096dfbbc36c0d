//! Many at once: writers of records and batches, one who dies, readers that reap, the way through several segments, and a sealer
//! that hands each over behind their backs.

use crate::explorer::{Arc, explore, thread};
use crate::format::{Place, Word};
use crate::heap::{Heap, get, owner, put, put_both};
use crate::ring::{Appended, Region, Step, step};
use crate::sync::Ordering;
use crate::volume::{DEAD, Process, Volume};

const WRITERS: u16 = 4;
const EACH: u64 = 4;

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

#[test]
fn a_crowd_goes_through_segments_that_are_sealed_behind_it() {
    explore(|| {
        let process = Process::at(&Volume::fleeting(8, 3), 1);
        let mut crowd = Vec::new();
        for slot in 1..=WRITERS - 1 {
            let process = Arc::clone(&process);
            crowd.push(thread::spawn(move || {
                let mut nth = 0;
                while nth < EACH {
                    let mut count = 0;
                    process.append_by(number(slot, nth), |segment, _| {
                        let (outcome, these) = some(segment, slot, nth);
                        count = these;
                        outcome
                    });
                    nth += count;
                }
            }));
        }
        let victim = Arc::clone(&process);
        crowd.push(thread::spawn(move || die(victim.volume.segment(1))));
        let sealer = Arc::clone(&process);
        crowd.push(thread::spawn(move || {
            for _ in 0..5 {
                sealer.seal();
                sealer.let_go_of_sealed();
            }
        }));
        let syncer = Arc::clone(&process);
        crowd.push(thread::spawn(move || {
            for _ in 0..2 {
                syncer.sync();
                syncer.volume.assert_durable();
            }
        }));
        let reader = Arc::clone(&process);
        crowd.push(thread::spawn(move || (0..2).for_each(|_| in_order(&reader.values()))));
        for one in crowd {
            one.join().unwrap();
        }
        let found = process.values();
        in_order(&found);
        assert_eq!(found.len(), usize::from(WRITERS - 1) * EACH as usize, "{found:?}");
    });
}

/// Each writer is a process of its own.
#[test]
fn a_crowd_of_processes_makes_each_segment_once() {
    explore(|| {
        let volume = Volume::of(12, 3);
        let mut crowd = Vec::new();
        for slot in 1..=WRITERS {
            let process = Process::at(&volume, 1);
            crowd.push(thread::spawn(move || {
                (0..EACH).for_each(|nth| process.append(slot, number(slot, nth)));
            }));
        }
        let sealer = Process::at(&volume, 1);
        crowd.push(thread::spawn(move || (0..5).for_each(|_| sealer.seal())));
        let reader = Process::at(&volume, 1);
        crowd.push(thread::spawn(move || (0..2).for_each(|_| in_order(&reader.values()))));
        for one in crowd {
            one.join().unwrap();
        }
        let found = Process::at(&volume, 1).values();
        in_order(&found);
        assert_eq!(found.len(), usize::from(WRITERS) * EACH as usize, "{found:?}");
        let made = volume.made();
        assert!(made.iter().copied().eq(2..2 + made.len() as u32), "{made:?}");
    });
}
