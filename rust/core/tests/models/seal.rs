//! The hand-over of a segment to its sealed file: while others append to it, read in it, look for it, or sleep.

use crate::explorer::{Arc, explore_some, thread};
use crate::format::{Place, Word};
use crate::heap::{lay_both, owner, put, settle};
use crate::ring::{Appended, Region, Step, step};
use crate::volume::{Process, Volume};

/// A store of two segments, the log in the second one; `42` in the first.
fn left() -> Arc<Process> {
    let volume = Volume::fleeting(2, 1);
    let process = Process::at(&volume, 1);
    process.append(1, 42);
    process.append(1, 43);
    assert_eq!(volume.progress.current(), 2);
    process
}

fn seals(process: &Arc<Process>) -> thread::JoinHandle<()> {
    let process = Arc::clone(process);
    thread::spawn(move || {
        process.seal();
        process.let_go_of_sealed();
    })
}

#[test]
fn what_is_read_while_the_segment_goes_is_the_record() {
    explore_some(|| {
        let process = left();
        let sealer = seals(&process);
        // In a thread of its own, begun last: loom runs it last at first, and finds more orders from that one.
        let reader = {
            let process = Arc::clone(&process);
            thread::spawn(move || assert_eq!(process.read(1, 0), 42))
        };
        sealer.join().unwrap();
        reader.join().unwrap();
        assert!(process.volume.segment(1).gone().is_up());
        assert_eq!(process.read(1, 0), 42);
    });
}

#[test]
fn a_walk_never_takes_the_zeros_for_the_end_of_the_log() {
    explore_some(|| {
        let process = left();
        let sealer = seals(&process);
        let reader = {
            let process = Arc::clone(&process);
            thread::spawn(move || assert_eq!(process.values(), [42, 43]))
        };
        sealer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(process.values(), [42, 43]);
    });
}

/// It finds free words where there are zeros. Whatever it puts there is lost, and it knows.
#[test]
fn what_a_writer_appends_that_was_asleep_meanwhile_is_there_once() {
    explore_some(|| {
        let volume = Volume::fleeting(2, 2);
        let process = Process::at(&volume, 1);
        for value in [40, 41, 42] {
            process.append(1, value);
        }
        process.seal();
        // Another thread of the process is about to let go of the segment, in which this one sleeps.
        let sealer = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.volume.segment(1).let_go())
        };
        process.sleep(1);
        process.append(2, 50);
        sealer.join().unwrap();
        assert_eq!(process.values(), [40, 41, 42, 50]);
    });
}

/// Its writer finds the flag up after its commit, and asks the sealed segment.
#[test]
fn what_counted_before_the_segment_went_is_not_appended_again() {
    explore_some(|| {
        let volume = Volume::fleeting(3, 2);
        let process = Process::at(&volume, 1);
        process.append(1, 40);
        let sealer = {
            let process = Arc::clone(&process);
            thread::spawn(move || {
                process.append(1, 41);
                process.append(1, 42);
                process.seal();
                process.let_go_of_sealed();
            })
        };
        let writer = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.append(2, 50))
        };
        sealer.join().unwrap();
        writer.join().unwrap();
        let mut found = process.values();
        found.sort_unstable();
        assert_eq!(found, [40, 41, 42, 50]);
    });
}

#[test]
fn what_is_in_flight_in_a_segment_keeps_it_from_being_sealed() {
    explore_some(|| {
        let volume = Volume::of(2, 2);
        let process = Process::at(&volume, 1);
        let laid = lay_both(volume.segment(1), 1, [10, 11]).unwrap();
        process.append(2, 20);
        let sealer = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.seal())
        };
        assert!(settle(volume.segment(1), 1, laid, true));
        sealer.join().unwrap();
        process.seal();
        assert_eq!(volume.sealed(1).unwrap(), [10, 11]);
        assert_eq!(process.values(), [10, 11, 20]);
    });
}

/// What a dead writer left is given up by whoever comes first.
#[test]
fn what_the_dead_left_in_a_segment_is_given_up_before_it_is_sealed() {
    explore_some(|| {
        let volume = Volume::of(2, 2);
        let process = Process::at(&volume, 1);
        assert_eq!(put(volume.segment(1), 1, 10), Appended::At(0));
        let place = Place { segment: 1, offset: 48 };
        let mine = Word::reserved(place, owner(crate::volume::DEAD), 8).raw();
        volume.segment(1).word(48).unwrap().store(mine, crate::sync::Ordering::Relaxed);
        process.append(2, 20);
        let sealer = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.seal())
        };
        assert_eq!(process.values(), [10, 20]);
        sealer.join().unwrap();
        assert_eq!(volume.sealed(1).unwrap(), [10]);
        assert!(matches!(step(volume.segment(1), 48), Step::Aborted { next: 96 }));
    });
}

/// By its two names, of which there is always one.
#[test]
fn who_looks_for_a_segment_that_is_handed_over_finds_it() {
    explore_some(|| {
        let sealer = left();
        let other = Process::at(&sealer.volume, 2);
        let sealing = {
            let sealer = Arc::clone(&sealer);
            thread::spawn(move || sealer.seal())
        };
        let looking = {
            let other = Arc::clone(&other);
            thread::spawn(move || assert_eq!(other.values(), [42, 43]))
        };
        sealing.join().unwrap();
        looking.join().unwrap();
        assert_eq!(other.values(), [42, 43]);
    });
}

#[test]
fn a_writer_that_missed_it_all_goes_to_where_the_log_is() {
    explore_some(|| {
        let volume = Volume::of(4, 1);
        let (asleep, other) = (Process::at(&volume, 1), Process::at(&volume, 1));
        other.append(1, 10);
        other.append(1, 11);
        // The log leaves the second segment, which is sealed at once.
        let busy = {
            let other = Arc::clone(&other);
            thread::spawn(move || {
                other.append(1, 12);
                other.seal();
                other.seal();
            })
        };
        asleep.append(2, 20);
        busy.join().unwrap();
        let mut found = other.values();
        assert_eq!(asleep.values(), found);
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 20]);
    });
}
