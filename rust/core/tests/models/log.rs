//! Writers, readers and reapers of one segment.

use crate::explorer::{Arc, explore, thread};
use crate::heap::{Heap, alive, get, lay_both, put, put_both, settle};
use crate::ring::Appended;

#[test]
fn two_writers_get_places_of_their_own() {
    explore(|| {
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
    explore(|| {
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
    explore(|| {
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
    explore(|| {
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

/// Also what stands behind it, until it is settled.
#[test]
fn what_is_reserved_is_not_seen_before_it_counts_and_never_when_it_is_given_up() {
    for counts in [true, false] {
        explore(move || {
            let log = Heap::new(4 * 48);
            let laid = lay_both(&log, 1, [10, 11]).unwrap();
            assert_eq!(laid.place().offset, 0);
            let other = {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    assert!(matches!(put(&log, 2, 20), Appended::At(_)));
                    get(&log, alive)
                })
            };
            assert_eq!(get(&log, alive), []);
            assert_eq!(settle(&log, 1, laid, counts), counts);
            let expected: &[u64] = if counts { &[10, 11, 20] } else { &[20] };
            let seen = other.join().unwrap();
            assert!(seen.is_empty() || seen == expected, "{seen:?}");
            assert_eq!(get(&log, alive), expected);
        });
    }
}

/// Somebody takes its writer for dead, though it is not.
#[test]
fn what_is_reserved_is_given_up_once() {
    explore(|| {
        let log = Heap::new(3 * 48);
        let laid = lay_both(&log, 1, [10, 11]).unwrap();
        let reaper = {
            let log = Arc::clone(&log);
            thread::spawn(move || get(&log, |slot| slot == 1).len())
        };
        let kept = settle(&log, 1, laid, true);
        let seen = reaper.join().unwrap();
        let left = get(&log, alive);
        assert_eq!(left.len(), if kept { 2 } else { 0 });
        assert!(seen <= left.len());
    });
}

#[test]
fn two_reapers_and_a_writer_agree() {
    explore(|| {
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
    explore(|| {
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
