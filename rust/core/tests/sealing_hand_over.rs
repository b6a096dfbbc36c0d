//! From a segment to its sealed file: neither damage, nor who has the segment mapped, nor who is in its place, costs a record.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/closed_segments.rs"]
mod closed_segments;
mod forge;
#[path = "support/restart.rs"]
mod restart;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use closed_segments::{SMALL, all, fill, filled, head, raw, read_from, seal_all, seal_all_from, sealed};
use dbrewind_core::{Code, Cursor, Head, Kind, Store};
use restart::restart;

/// Mappings of this process of segments in a folder that have no name any more.
#[cfg(target_os = "linux")]
fn nameless_mappings(dir: &Path) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let dir = dir.to_str().unwrap();
    maps.lines().filter(|line| line.contains(dir) && line.ends_with(".seg (deleted)")).count()
}

#[test]
fn others_who_have_a_segment_mapped_read_on_and_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let (store, object) = filled(dir.path());
    let records = all(&store);
    let other = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(all(&other), records);
    let sealed = seal_all(&store);
    for record in &records {
        assert_eq!(other.read(record.at).unwrap(), *record);
    }
    assert_eq!(nameless_mappings(dir.path()), sealed as usize, "one for each segment, of the other one's");
    assert_eq!(all(&other), records);
    assert_eq!(nameless_mappings(dir.path()), 0);
    other.append(Head { object, ..head(Kind::Note, 0, 1, 1) }, &[b"on"]).unwrap();
    assert_eq!(all(&store).len(), records.len() + 1);
}

#[test]
fn hazard_a_segment_is_sealed_under_a_scan() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = filled(dir.path());
    let records = all(&store);
    let mut seen = Vec::new();
    let mut visit = |head, at, _| {
        seen.push((head, at));
        if seen.len() == 40 {
            // Lets go of the memory that is being walked through.
            assert!(seal_all(&store) > 3);
        }
    };
    store.scan(&mut Cursor::default(), &mut visit).unwrap();
    assert_eq!(seen, records.iter().map(|it| (it.head, it.at)).collect::<Vec<_>>());
}

#[test]
fn hazard_a_writer_that_slept_through_sealings_appends_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let sleeper = Store::open(dir.path(), &SMALL).unwrap();
    let (store, object) = filled(dir.path());
    let count = all(&store).len();
    seal_all(&store);
    let newest = Head { object, ..head(Kind::Note, 0, 1, 1) };
    let at = sleeper.append(newest, &[b"late"]).unwrap();
    assert!(!sealed(dir.path(), at.segment().get()).exists());
    let records = [(newest, &b"later"[..]); 40];
    sleeper.append_batch(&records).unwrap();
    assert_eq!(all(&store).len(), count + 41);
    assert_eq!(all(&store)[count].body, b"late");
    assert_eq!(all(&store), all(&sleeper));
}

#[test]
fn when_the_power_takes_the_raw_segments_the_log_goes_on_behind_the_sealed_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (store, object) = filled(dir.path());
    let records = all(&store);
    let upto = seal_all(&store);
    drop(store);
    fs::write(raw(dir.path(), upto + 1), [0; 4096]).unwrap();
    restart(dir.path());
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let left = all(&store);
    assert!(left.iter().all(|it| it.at.segment().get() <= upto) && left[..] == records[..left.len()]);
    fill(&store, object, 120..125);
    assert_eq!(all(&store).len(), left.len() + 30);
}

#[test]
fn of_a_segment_and_its_sealed_file_the_whole_one_stays() {
    for damage in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = filled(dir.path());
        let records = all(&store);
        let second = fs::read(raw(dir.path(), 2)).unwrap();
        seal_all(&store);
        drop(store);
        fs::write(raw(dir.path(), 2), second).unwrap();
        let path = sealed(dir.path(), 2);
        if damage {
            let mut bytes = fs::read(&path).unwrap();
            let index = bytes.len() - 200;
            bytes[index] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        fs::write(dir.path().join("0000000000000003.zst.tmp"), b"half").unwrap();
        let store = Store::open(dir.path(), &SMALL).unwrap();
        // The first one leans on it.
        assert_eq!(all(&store), records);
        assert_eq!((path.exists(), raw(dir.path(), 2).exists()), (!damage, damage));
        assert!(!dir.path().join("0000000000000003.zst.tmp").exists());
        assert_eq!(store.seal_some().unwrap().map(|done| done.segment.get()), damage.then_some(2));
        assert_eq!(all(&store), records);
    }
}

#[test]
fn a_sealed_file_of_another_store_takes_no_segment_away() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(filled(ours.path()));
    let (other, _) = filled(theirs.path());
    seal_all(&other);
    fs::copy(sealed(theirs.path(), 2), sealed(ours.path(), 2)).unwrap();
    let before = fs::read(raw(ours.path(), 2)).unwrap();
    assert_eq!(Store::open(ours.path(), &SMALL).unwrap_err().code(), Code::StoreDamaged);
    assert_eq!(fs::read(raw(ours.path(), 2)).unwrap(), before);
}

#[test]
fn a_sealed_file_that_is_damaged_or_missing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = filled(dir.path());
    seal_all(&store);
    drop(store);
    let path = sealed(dir.path(), 2);
    let whole = fs::read(&path).unwrap();
    let code = |dir: &Path| match Store::open(dir, &SMALL) {
        Ok(store) => read_from(&store, Cursor::default()).unwrap_err(),
        Err(error) => error.code(),
    };
    // But for the digest, from byte 80 on: `sealing_lazy.rs`.
    for at in [0, 20, 60, 79, 400, whole.len() / 2, whole.len() - 200] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&path, bytes).unwrap();
        assert_eq!(code(dir.path()), Code::StoreDamaged, "byte {at}");
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(code(dir.path()), Code::StoreDamaged);
    fs::remove_file(&path).unwrap();
    assert_eq!(code(dir.path()), Code::StoreDamaged);
}

#[test]
fn a_damaged_segment_is_not_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = filled(dir.path());
    drop(store);
    let path = raw(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(store.seal_some().unwrap_err().code(), Code::StoreDamaged);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains("zst")), "{names:?}");
}

#[test]
fn a_record_in_flight_is_waited_for_and_one_of_the_dead_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = filled(dir.path());
    let records = all(&store);
    let sealing = Store::open(dir.path(), &SMALL).unwrap();
    let first = &records[0];
    let len = (first.body.len() as u32).next_multiple_of(8);
    // Slot 0 is `store`'s; what its generation is stands in the control file.
    let control = fs::read(dir.path().join("control")).unwrap();
    let generation = u16::from_le_bytes([control[4096], control[4097]]) & 0xfff;
    forge::reserve(dir.path(), (0, generation), 1, first.at.offset(), len).unwrap();
    assert_eq!(sealing.seal_some().unwrap(), None);
    drop(store);
    assert_eq!(sealing.seal_some().unwrap().unwrap().segment.get(), 1);
    seal_all_from(&sealing, 1);
    assert_eq!(all(&sealing), records[1..]);
}

#[test]
fn hazard_another_store_in_the_folders_place_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (here, away) = (dir.path().join("here"), dir.path().join("away"));
    let (store, _) = filled(&here);
    assert!(store.seal_some().unwrap().is_some());
    fs::rename(&here, &away).unwrap();
    assert_eq!(store.seal_some().unwrap_err().code(), Code::StoreDamaged);
    let (other, _) = filled(&here);
    let records = all(&other);
    assert_eq!(store.seal_some().unwrap_err().code(), Code::StoreDamaged);
    assert!(raw(&here, 1).exists() && raw(&here, 2).exists() && !sealed(&here, 1).exists());
    assert_eq!(all(&Store::open(&here, &SMALL).unwrap()), records);
    // The one that was moved is whole, too.
    drop(store);
    let moved = Store::open(&away, &SMALL).unwrap();
    assert!(seal_all_from(&moved, 1) > 3);
    assert_eq!(all(&moved).len(), records.len());
}

#[test]
fn hazard_others_open_the_store_while_segments_are_sealed() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let (store, object) = filled(dir.path());
        fill(&store, object, 120..300);
        let (records, done) = (all(&store), AtomicBool::new(false));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    drop(Store::open(dir.path(), &SMALL).unwrap());
                }
            });
            // An open holds the sealers' lock for a moment.
            while !sealed(dir.path(), 8).exists() {
                store.seal_some().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(all(&store), records);
    }
}
