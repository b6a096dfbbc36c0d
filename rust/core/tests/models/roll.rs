//! The end of a segment, the hint where it is, and the way into the next one.

use crate::explorer::{Arc, explore, thread};
use crate::heap::{Heap, alive, get, owner, put, put_both};
use crate::ring::{Appended, Region, Step, append, step};
use crate::sync::{AtomicU64, Ordering};

#[test]
fn a_batch_that_finds_too_little_room_leaves_none_to_others() {
    explore(|| {
        // Room for the batch, or for one record and less than the batch.
        let log = Heap::new(96 + 40);
        let batch = {
            let log = Arc::clone(&log);
            thread::spawn(move || put_both(&log, 1, [10, 11]))
        };
        let single = put(&log, 2, 20);
        let batch = batch.join().unwrap();
        let left = get(&log, alive);
        match (batch, single) {
            (Appended::At(0), Appended::Full) => assert_eq!(left, [10, 11]),
            (Appended::Full, Appended::At(0)) => assert_eq!(left, [20]),
            other => panic!("{other:?}"),
        }
        assert_eq!(put(&log, 3, 30), Appended::Full);
    });
}

#[test]
fn the_end_ends_the_segment_even_if_its_writer_is_given_up() {
    explore(|| {
        let log = Heap::new(48 + 40);
        assert_eq!(put(&log, 1, 10), Appended::At(0));
        let writer = {
            let log = Arc::clone(&log);
            thread::spawn(move || put(&log, 2, 20))
        };
        // A reader that takes the writer for dead while it writes the end.
        assert_eq!(get(&log, |slot| slot == 2), [10]);
        assert_eq!(put(&log, 3, 30), Appended::Full);
        assert_eq!(writer.join().unwrap(), Appended::Full);
        assert_eq!(get(&log, alive), [10]);
        assert!(matches!(step(&*log, 48), Step::Committed { next: 88, .. } | Step::Aborted { next: 88 }));
        assert_eq!(step(&*log, 88), Step::Over);
    });
}

#[test]
fn a_writer_that_was_given_up_appends_again_once() {
    explore(|| {
        let log = Heap::new(4 * 48);
        let writer = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                let first = put_both(&log, 1, [10, 11]);
                if first == Appended::Aborted { put(&log, 2, 12) } else { first }
            })
        };
        let seen = get(&log, |slot| slot == 1);
        assert!(matches!(writer.join().unwrap(), Appended::At(_)));
        let left = get(&log, alive);
        assert!(left == [10, 11] || left == [12], "{left:?}");
        assert!(left.starts_with(&seen));
    });
}

/// As `Control::raise_hint` and `Control::hint` do it: whoever sees the hint sees the reservations before it. A log
/// that ends before its hint has lost something.
#[test]
fn the_log_never_ends_before_its_hint() {
    explore(|| {
        let log = Heap::new(3 * 48);
        let hint = Arc::new(AtomicU64::new(0));
        let writer = {
            let (log, hint) = (Arc::clone(&log), Arc::clone(&hint));
            thread::spawn(move || {
                for value in [10_u64, 11] {
                    let from = hint.load(Ordering::Acquire) as u32;
                    let raise = |next: u32| {
                        hint.fetch_max(u64::from(next), Ordering::Release);
                    };
                    let body = value.to_le_bytes();
                    let outcome = append(&*log, from, owner(1), &[&body], 8, raise, |_| [1; 32]);
                    assert!(matches!(outcome, Appended::At(_)));
                }
            })
        };
        // A thread of its own, begun last: loom runs it last at first, and finds the orders in which the hint is there
        // only from that one.
        let reader = {
            let (log, hint) = (Arc::clone(&log), Arc::clone(&hint));
            thread::spawn(move || {
                let hinted = hint.load(Ordering::Acquire) as u32;
                let mut at = 0;
                while at < hinted {
                    match step(&*log, at) {
                        Step::Committed { next, .. }
                        | Step::Reserved { next, .. }
                        | Step::Aborted { next } => {
                            at = next;
                        }
                        other => panic!("{other:?} at {at}, before the hint {hinted}"),
                    }
                }
                assert_eq!(at, hinted, "the hint is a record's place");
            })
        };
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(get(&log, alive).len(), 2);
    });
}

/// As `Inner::roll` and `Inner::walk` do it: a segment is announced after the one before it was filled, and a reader that
/// sees it announced looks again. Where it then still finds the end of the log, something was lost.
#[test]
fn a_segment_that_is_announced_has_a_full_one_before_it() {
    explore(|| {
        let log = Arc::new([Heap::numbered(1, 48 + 40), Heap::numbered(2, 2 * 48)]);
        let current = Arc::new(AtomicU64::new(1));
        let writers: Vec<_> = [1, 2]
            .map(|slot| {
                let (log, current) = (Arc::clone(&log), Arc::clone(&current));
                thread::spawn(move || match put(&log[0], slot, u64::from(slot)) {
                    Appended::Full => {
                        current.fetch_max(2, Ordering::Release);
                        assert!(matches!(put(&log[1], slot, u64::from(slot)), Appended::At(_)));
                    }
                    outcome => assert_eq!(outcome, Appended::At(0)),
                })
            })
            .into_iter()
            .collect();
        let mut at = 0;
        loop {
            match step(&*log[0], at) {
                Step::Committed { next, .. } | Step::Aborted { next } => at = next,
                Step::Free if current.load(Ordering::Acquire) > 1 => {
                    assert_ne!(step(&*log[0], at), Step::Free, "the log ends, though a segment follows");
                }
                Step::Free | Step::Reserved { .. } | Step::Over => break,
                Step::Damaged => panic!("damaged at {at}"),
            }
        }
        for writer in writers {
            writer.join().unwrap();
        }
        let mut found = [get(&log[0], alive), get(&log[1], alive)].concat();
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
        assert_eq!(log[1].id(), 2);
    });
}
