//! Stores that are not what was written: a stable code or an unharmed store, never a panic, and never
//! a record that nobody appended.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod forge;
#[path = "support/restart.rs"]
mod restart;
#[path = "support/three_segments.rs"]
mod three_segments;

use std::fs;
use std::os::unix::fs::FileExt;

use dbrewind_core::{Code, Cursor, Location, Lsn, Record, Store};
use proptest::prelude::*;
use restart::restart;
use three_segments::{OPTIONS, flip, read_all, segment, written};

#[test]
fn every_flipped_byte_of_a_segment_header_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    for id in [1, 3] {
        for at in 0..64 {
            flip(&segment(dir.path(), id), at, 0x20);
            let code = Store::open(dir.path(), &OPTIONS).unwrap_err().code();
            let expected = if (8..12).contains(&at) { Code::StoreVersion } else { Code::StoreDamaged };
            assert_eq!(code, expected, "segment {id} byte {at}");
            flip(&segment(dir.path(), id), at, 0x20);
        }
    }
    assert_eq!(read_all(dir.path()).unwrap().len(), 17);
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    for record in [&records[2], &records[16]] {
        let path = segment(dir.path(), record.at.segment().get() as u32);
        let begin = u64::from(record.at.offset());
        let places = (0..40).chain([40, 41, 300, 639]);
        for (at, bit) in places.flat_map(|at| (0..8).map(move |bit| (begin + at, bit))) {
            flip(&path, at, 1 << bit);
            let code = read_all(dir.path()).expect_err("a flipped bit went unnoticed");
            assert!(matches!(code, Code::StoreDamaged | Code::StoreVersion), "byte {at} bit {bit}: {code}");
            flip(&path, at, 1 << bit);
        }
    }
    assert_eq!(read_all(dir.path()).unwrap(), records);
}

#[test]
fn a_truncated_or_grown_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    for (id, len) in [(1, 4095), (2, 64), (2, 10), (3, 8), (3, 8192)] {
        let path = segment(dir.path(), id);
        let whole = fs::read(&path).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
        assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged), "segment {id} of {len} bytes");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(read_all(dir.path()).unwrap().len(), 17);
}

#[test]
fn a_missing_segment_is_refused_wherever_it_was() {
    for id in 1..=3 {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        fs::remove_file(segment(dir.path(), id)).unwrap();
        assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged), "segment {id}");
    }
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    for id in 1..=3 {
        fs::remove_file(segment(dir.path(), id)).unwrap();
    }
    assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged), "all of them");
}

#[test]
fn a_segment_of_another_store_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(one.path());
    written(two.path());
    fs::copy(segment(two.path(), 2), segment(one.path(), 2)).unwrap();
    assert_eq!(read_all(one.path()), Err(Code::StoreDamaged));
}

#[test]
fn a_missing_or_damaged_control_file_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let control = dir.path().join("control");
    let breakages: [&dyn Fn(); 4] = [
        &|| fs::remove_file(&control).unwrap(),
        &|| fs::write(&control, b"").unwrap(),
        &|| fs::write(&control, vec![0xff; 36864]).unwrap(),
        &|| flip(&control, 20, 1),
    ];
    for (number, break_it) in breakages.iter().enumerate() {
        break_it();
        assert_eq!(read_all(dir.path()).unwrap(), records, "breakage {number}");
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        assert_eq!(store.object("/a.db", 512).unwrap(), records[0].head.object);
        assert_eq!(store.last_lsn(records[0].head.object), Lsn::new(17), "breakage {number}");
        assert_eq!(store.broken(records[0].head.object), None, "breakage {number}");
    }
}

#[test]
fn a_truncated_control_file_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let control = dir.path().join("control");
    for len in [0, 56, 4096, 20480] {
        fs::OpenOptions::new().write(true).open(&control).unwrap().set_len(len).unwrap();
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        assert_eq!(store.last_lsn(records[0].head.object), Lsn::new(17), "{len} bytes left");
    }
}

#[test]
fn a_control_file_lost_while_somebody_works_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let object = records[0].head.object;
    let worker = Store::open(dir.path(), &OPTIONS).unwrap();
    fs::remove_file(dir.path().join("control")).unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    assert!(store.boot_changed(object), "nobody knows");
    assert_eq!(store.last_lsn(object), Lsn::new(17));
    worker.append(records[0].head, &[b"goes on"]).unwrap();
    store.append(records[0].head, &[b"goes on"]).unwrap();
    drop((worker, store));
    assert_eq!(read_all(dir.path()).unwrap().len(), 19);
}

#[test]
fn a_missing_lock_file_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    fs::remove_file(dir.path().join("locks")).unwrap();
    assert_eq!(read_all(dir.path()).unwrap(), records);
}

#[test]
fn an_unfinished_segment_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let unfinished = dir.path().join(format!("{:016x}.seg.tmp", 4));
    fs::write(&unfinished, b"half").unwrap();
    assert_eq!(read_all(dir.path()).unwrap(), records);
    assert!(!unfinished.exists());
}

#[test]
fn damage_met_while_open_is_an_error_of_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let path = segment(dir.path(), 3);
    let end = u64::from(records[16].at.offset()) + 640;
    // Stray bytes where the log goes on.
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0xa5; 8], end).unwrap();
    let refused = store.append(records[0].head, &[b"x"]).unwrap_err();
    assert_eq!(refused.code(), Code::StoreDamaged);
    let mut seen = 0;
    let refused = store.scan(&mut Cursor::default(), &mut |_, _, _| seen += 1).unwrap_err();
    assert_eq!((refused.code(), seen), (Code::StoreDamaged, 18));
    assert_eq!(store.read(records[16].at).unwrap(), records[16]);
}

#[test]
fn a_log_that_ends_before_what_was_reached_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    for record in [&records[16], &records[3]] {
        let id = record.at.segment().get() as u32;
        let whole = fs::read(segment(dir.path(), id)).unwrap();
        let mut cut = whole.clone();
        cut[record.at.offset() as usize..].fill(0);
        fs::write(segment(dir.path(), id), cut).unwrap();
        assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged), "segment {id}");
        fs::write(segment(dir.path(), id), whole).unwrap();
    }
}

#[test]
fn an_open_looks_at_no_record_that_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    Store::open(dir.path(), &OPTIONS).unwrap().sync().unwrap();
    let flipped = |record: &Record| flip(&segment(dir.path(), 3), u64::from(record.at.offset()), 0x40);
    flipped(&records[13]);
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    assert_eq!(store.read(records[13].at).unwrap_err().code(), Code::StoreDamaged);
    assert_eq!(store.read(records[14].at).unwrap(), records[14]);
    let appended = store.append(records[0].head, &[b"behind it"]).unwrap();
    drop(store);
    flipped(&records[13]);
    flip(&segment(dir.path(), 3), u64::from(appended.offset()), 0x40);
    assert_eq!(Store::open(dir.path(), &OPTIONS).unwrap_err().code(), Code::StoreDamaged);
}

#[test]
fn hazard_dead_writer_left_a_reservation() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    // As a writer of slot 77 leaves it that was killed after its reservation, before its commit.
    let end = records[16].at.offset() + 640;
    forge::reserve(dir.path(), (77, 0), 3, end, 100).unwrap();
    assert_eq!(read_all(dir.path()).unwrap(), records);
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let at = store.append(records[0].head, &[b"after it"]).unwrap();
    assert_eq!(at.offset(), end + 144);
    drop(store);
    assert_eq!(read_all(dir.path()).unwrap().len(), 18);
}

#[test]
fn places_without_a_record_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Store::open(elsewhere.path(), &OPTIONS).unwrap();
    assert!(other.read(records[16].at).is_err());
    assert!(store.read(Location::default()).is_err());
}

#[test]
fn stray_bytes_over_half_a_word_do_not_take_a_record_away() {
    let dir = tempfile::tempdir().unwrap();
    let records = written(dir.path());
    // The length stays, the state becomes "reserved", by an owner that nobody knows.
    for high in [0x4000_0000_u32, 0x7fff_ffff, 0x5a5a_5a5a, 0x404d_0001] {
        let at = u64::from(records[1].at.offset()) + 4;
        let file = fs::OpenOptions::new().read(true).write(true).open(segment(dir.path(), 1)).unwrap();
        let mut before = [0; 4];
        file.read_exact_at(&mut before, at).unwrap();
        file.write_all_at(&high.to_le_bytes(), at).unwrap();
        assert_eq!(read_all(dir.path()), Err(Code::StoreDamaged), "{high:#x}");
        file.write_all_at(&before, at).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any bytes anywhere: what is answered was appended, or is an error.
    #[test]
    fn garbage_is_never_a_record(
        id in 1_u32..=3, at in 0_usize..4096, bytes in proptest::collection::vec(any::<u8>(), 1..64), restarted: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let records = written(dir.path());
        let mut content = fs::read(segment(dir.path(), id)).unwrap();
        for (byte, new) in content.iter_mut().skip(at).zip(&bytes) {
            *byte = *new;
        }
        fs::write(segment(dir.path(), id), content).unwrap();
        if restarted {
            restart(dir.path());
        }
        match read_all(dir.path()) {
            Ok(found) => prop_assert!(records.starts_with(&found)),
            Err(code) => prop_assert!(matches!(code, Code::StoreDamaged | Code::StoreVersion), "{}", code),
        }
    }
}
