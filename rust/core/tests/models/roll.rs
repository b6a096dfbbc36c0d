//! The end of a segment, the hint where it is, and the way into the next one.

use crate::explorer::{Arc, explore, explore_some, thread};
use crate::heap::{Heap, alive, get, put, put_both};
use crate::ring::{Appended, Step, step};
use crate::volume::{Process, Volume};

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

/// Whoever sees the hint sees the reservations before it. A log that ends before its hint has lost something.
#[test]
fn the_log_never_ends_before_its_hint() {
    explore(|| {
        let volume = Volume::of(1, 2);
        let process = Process::at(&volume, 1);
        let writer = {
            let process = Arc::clone(&process);
            thread::spawn(move || [10, 11].map(|value| process.append(1, value)))
        };
        // A thread of its own, begun last: loom runs it last at first, and finds the orders in which the hint is there
        // only from that one.
        let reader = {
            let volume = Arc::clone(&volume);
            thread::spawn(move || {
                let hinted = volume.progress.hint(1).unwrap_or(0);
                let mut at = 0;
                while at < hinted {
                    match step(volume.segment(1), at) {
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
        assert_eq!(process.values(), [10, 11]);
    });
}

/// A segment is announced after the one before it was filled, and a reader that sees it announced looks again. Where it then still finds
/// the end of the log, something was lost: `Process::walk` fails.
#[test]
fn a_segment_that_is_announced_has_a_full_one_before_it() {
    explore_some(|| {
        let volume = Volume::of(2, 1);
        let writers: Vec<_> = [1, 2]
            .map(|slot| {
                // Each in a process of its own.
                let process = Process::at(&volume, 1);
                thread::spawn(move || process.append(slot, u64::from(slot)))
            })
            .into_iter()
            .collect();
        // Begun last, as above.
        let reader = {
            let process = Process::at(&volume, 1);
            thread::spawn(move || process.values())
        };
        for writer in writers {
            writer.join().unwrap();
        }
        let seen = reader.join().unwrap();
        let mut found = Process::at(&volume, 1).values();
        assert!(found.starts_with(&seen), "{found:?} after {seen:?}");
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
        assert_eq!(volume.made(), [2]);
    });
}

/// Whoever made it may die before announcing it.
#[test]
fn a_segment_that_nobody_announced_is_found_by_its_name() {
    explore_some(|| {
        let volume = Volume::of(2, 1);
        let full = Process::at(&volume, 1);
        full.append(1, 1);
        assert_eq!(put(volume.segment(1), 1, 0), Appended::Full);
        let writers: Vec<_> = [2, 3]
            .map(|_| {
                let process = Process::at(&volume, 1);
                thread::spawn(move || process.roll(1))
            })
            .into_iter()
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!((volume.made(), volume.progress.current()), (vec![2], 2));
    });
}

/// It was announced when the writer looked, and sealed by others before it was opened: the log is further on.
#[test]
fn a_segment_that_goes_before_it_is_opened_is_passed_over() {
    explore_some(|| {
        let volume = Volume::of(4, 1);
        let other = Process::at(&volume, 1);
        other.append(1, 10);
        other.append(1, 11);
        let sealer = {
            let other = Arc::clone(&other);
            thread::spawn(move || {
                other.append(1, 12);
                other.seal();
                other.seal();
            })
        };
        let late = {
            let process = Process::at(&volume, 1);
            thread::spawn(move || process.append(2, 20))
        };
        sealer.join().unwrap();
        late.join().unwrap();
        let mut found = Process::at(&volume, volume.progress.current()).values();
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 20]);
    });
}
