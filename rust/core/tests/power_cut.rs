//! What a power cut leaves of the log: the records before the first one that it took, and nothing that was on disk is given up.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/restart.rs"]
mod restart;
#[path = "support/three_segments.rs"]
mod three_segments;

use std::fs;

use dbrewind_core::{Code, Head, Key, Kind, Lsn, Record, Store};
use restart::restart;
use three_segments::{OPTIONS, flip, read_all, segment, written};

#[test]
fn hazard_power_cut_loses_the_end_of_the_log() {
    // What of the last record did not reach the disk: its page, its body, its word.
    for (lost, with) in [(0..640, 0), (200..640, 0), (40..41, 0xee), (0..8, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let records = written(dir.path());
        let path = segment(dir.path(), 3);
        let at = records[15].at.offset() as usize;
        let mut bytes = fs::read(&path).unwrap();
        bytes[at + lost.start..at + lost.end].fill(with);
        fs::write(&path, bytes).unwrap();
        restart(dir.path());
        // Record 16 is whole, but after a gap.
        assert_eq!(read_all(dir.path()).unwrap(), records[..15], "lost {lost:?}");
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        let appended = store.append(records[15].head, &[b"anew"]).unwrap();
        assert_eq!(appended, records[15].at);
        drop(store);
        assert_eq!(read_all(dir.path()).unwrap().len(), 16, "lost {lost:?}");
    }
}

#[test]
fn hazard_power_cut_loses_the_middle_of_the_log() {
    // What of a segment that the log had left did not reach the disk: a byte, all of it, also its header.
    for (lost, left) in [(1000..1001, 1), (800..4096, 1), (64..4096, 0), (0..4096, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let records = written(dir.path());
        let path = segment(dir.path(), 1);
        let mut bytes = fs::read(&path).unwrap();
        bytes[lost.clone()].fill(0);
        fs::write(&path, bytes).unwrap();
        restart(dir.path());
        assert_eq!(read_all(dir.path()).unwrap(), records[..left], "lost {lost:?}");
        assert!(!segment(dir.path(), 2).exists() && !segment(dir.path(), 3).exists());
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        let object = store.object("/a.db", 512).unwrap();
        // What is gone has told of later moments: nothing certain is known of the object.
        assert_eq!(store.last_lsn(object), Lsn::new(17), "lost {lost:?}");
        for record in &records[left..] {
            store.append(record.head, &[&record.body]).unwrap();
        }
        drop(store);
        restart(dir.path());
        assert_eq!(read_all(dir.path()).unwrap().len(), 17, "lost {lost:?}");
    }
}

#[test]
fn hazard_power_cut_leaves_later_segments_without_a_header() {
    for gone in [[2, 3], [3, 3], [2, 2]] {
        let dir = tempfile::tempdir().unwrap();
        let records = written(dir.path());
        for id in gone {
            fs::write(segment(dir.path(), id), vec![0; 4096]).unwrap();
        }
        restart(dir.path());
        let kept: Vec<_> = records.iter().filter(|it| it.at.segment().get() < u64::from(gone[0])).collect();
        assert_eq!(read_all(dir.path()).unwrap().iter().collect::<Vec<_>>(), kept, "{gone:?}");
    }
}

#[test]
fn hazard_power_cut_loses_a_new_segments_header() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    fs::write(segment(dir.path(), 3), vec![0; 4096]).unwrap();
    restart(dir.path());
    let kept: Vec<Record> = records.iter().filter(|r| r.at.segment().get() < 3).cloned().collect();
    assert_eq!(read_all(dir.path()).unwrap(), kept);
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    for record in &records[kept.len()..] {
        assert_eq!(store.append(record.head, &[&record.body]).unwrap(), record.at);
    }
    drop(store);
    assert_eq!(read_all(dir.path()).unwrap(), records);
}

#[test]
fn what_was_on_disk_and_is_not_whole_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    Store::open(dir.path(), &OPTIONS).unwrap().sync().unwrap();
    for record in [&records[1], &records[16]] {
        let path = segment(dir.path(), record.at.segment().get() as u32);
        let whole = fs::read(&path).unwrap();
        flip(&path, u64::from(record.at.offset()) + 100, 1);
        restart(dir.path());
        let before = fs::read(&path).unwrap();
        assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged));
        assert_eq!(fs::read(&path).unwrap(), before, "nothing is changed");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(read_all(dir.path()).unwrap(), records);
}

#[test]
fn what_a_restart_found_whole_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    restart(dir.path());
    assert_eq!(read_all(dir.path()).unwrap(), records);
    flip(&segment(dir.path(), 1), u64::from(records[1].at.offset()) + 100, 1);
    restart(dir.path());
    assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged));
}

#[test]
fn without_a_control_file_a_gap_in_the_log_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    flip(&segment(dir.path(), 1), u64::from(records[1].at.offset()) + 100, 1);
    let control = dir.path().join("control");
    fs::remove_file(&control).unwrap();
    assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged));
    assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged), "whoever opens it once more");
    fs::write(&control, [7; 53248]).unwrap();
    assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged));
    assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged), "whoever opens it once more");
    assert!(segment(dir.path(), 3).exists());
    // But for one that the power cut took as well.
    fs::write(&control, [0; 53248]).unwrap();
    assert_eq!(read_all(dir.path()).unwrap(), records[..1]);
}

#[test]
fn hazard_power_cut_leaves_a_control_file_as_it_was_before_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    flip(&segment(dir.path(), 1), u64::from(records[1].at.offset()) + 100, 1);
    let control = dir.path().join("control");
    let mut bytes = fs::read(&control).unwrap();
    // The first open writes the header last; words of the same sector were there before.
    bytes[..56].fill(0);
    assert!(bytes[56..512].iter().any(|byte| *byte != 0));
    fs::write(&control, bytes).unwrap();
    assert_eq!(read_all(dir.path()).unwrap(), records[..1]);
}

#[test]
fn segments_that_the_log_left_are_soon_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let before = std::time::Instant::now();
    // As the control file says it: bytes 320 to 328.
    let synced =
        || u64::from_le_bytes(fs::read(dir.path().join("control")).unwrap()[320..328].try_into().unwrap());
    while synced() >> 43 < 3 {
        assert!(before.elapsed().as_secs() < 60, "nobody syncs them");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(store);
    flip(&segment(dir.path(), 2), 1000, 1);
    restart(dir.path());
    assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged));
    flip(&segment(dir.path(), 2), 1000, 1);
    // The one that the log is in has not been synced.
    flip(&segment(dir.path(), 3), 1000, 1);
    restart(dir.path());
    assert!(records.starts_with(&read_all(dir.path()).unwrap()));
}

#[test]
fn images_that_were_taken_back_are_no_sign_of_lost_records() {
    for (kind, voided) in [(Kind::Before, true), (Kind::After, true), (Kind::Before, false)] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        let object = store.object("/a.db", 512).unwrap();
        let append = |kind, lsn| {
            let head = Head { kind, flags: 0, object, key: Key::new(1), lsn: Lsn::new(lsn) };
            store.append(head, &[b"image"]).unwrap();
        };
        append(Kind::Commit, 4);
        append(kind, 5);
        if voided {
            append(Kind::Void, 4);
        }
        restart(dir.path());
        drop(store);
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        assert_eq!(store.last_lsn(object), Lsn::new(if voided { 4 } else { 5 }), "{kind:?}");
        // One that came later was not taken back.
        let head = Head { kind, flags: 0, object, key: Key::new(1), lsn: Lsn::new(5) };
        store.append(head, &[b"image"]).unwrap();
        drop(store);
        fs::remove_file(dir.path().join("control")).unwrap();
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        assert_eq!(store.last_lsn(object), Lsn::new(5), "{kind:?}");
    }
}

#[test]
fn a_restart_without_loss_keeps_everything_and_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let (a, b) = (records[0].head.object, store.object("/b.db", 512).unwrap());
    for object in [a, b] {
        store.confirm_boot(object);
        assert!(!store.boot_changed(object));
    }
    drop(store);
    restart(dir.path());
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    assert!(store.boot_changed(a) && store.boot_changed(b));
    assert_eq!(store.last_lsn(a), Lsn::new(17));
    // Who looks after the first object, or later, or elsewhere, is told all the same, and once.
    store.confirm_boot(a);
    drop(store);
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    assert!(!store.boot_changed(a) && store.boot_changed(b));
    store.confirm_boot(b);
    drop(store);
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    assert!(!store.boot_changed(a) && !store.boot_changed(b));
    drop(store);
    assert_eq!(read_all(dir.path()).unwrap(), records);
}
