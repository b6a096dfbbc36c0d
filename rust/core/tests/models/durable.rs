//! What *synced* says is on disk, whenever the power fails.

use crate::explorer::{Arc, explore_some, thread};
use crate::heap::{lay_both, settle};
use crate::volume::{Process, Volume};

#[test]
fn a_segment_that_was_left_is_synced_once_nothing_in_it_is_in_flight() {
    explore_some(|| {
        let volume = Volume::of(2, 2);
        let process = Process::at(&volume, 1);
        let laid = lay_both(volume.segment(1), 1, [10, 11]).unwrap();
        process.append(2, 20);
        let syncer = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.sync_left(1))
        };
        assert!(settle(volume.segment(1), 1, laid, true));
        volume.assert_durable();
        syncer.join().unwrap();
        volume.assert_durable();
        process.sync_left(1);
        volume.assert_durable();
        assert_eq!(volume.progress.synced(), Some((2, 0)));
    });
}

#[test]
fn a_sync_says_no_more_than_what_it_has_seen_settled() {
    explore_some(|| {
        let volume = Volume::of(3, 1);
        let process = Process::at(&volume, 1);
        process.append(1, 10);
        let writer = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.append(1, 11))
        };
        let syncer = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.sync())
        };
        volume.assert_durable();
        writer.join().unwrap();
        syncer.join().unwrap();
        volume.assert_durable();
        process.sync();
        volume.assert_durable();
        assert_eq!(volume.progress.synced(), Some((2, 48)));
    });
}
