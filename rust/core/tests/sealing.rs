//! Sealed segments: everything that can be had of a segment can be had of them, by everybody, at any time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod forge;
#[path = "support/restart.rs"]
mod restart;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use dbrewind_core::{
    AppendError, Code, CommitBody, Cursor, Engine, EraBody, Extent, Head, Key, Kind, Lsn, ObjectId, Record,
    SegmentId, Store, StoreOptions, Timeline, Timestamp,
};
use restart::restart;

const SMALL: StoreOptions = StoreOptions { first_segment: 4096, max_segment: 64 << 10, limit: 64 << 20 };

fn raw(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.seg"))
}

fn sealed(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.zst"))
}

fn head(kind: Kind, object: u32, key: u64, lsn: u64) -> Head {
    Head { kind, flags: 0, object: ObjectId::new(object), key: Key::new(key), lsn: Lsn::new(lsn) }
}

/// The image of a key at a moment: most of it stays the same.
fn image(key: u64, lsn: u64) -> Vec<u8> {
    let mut image: Vec<u8> = (0..500).map(|i| (key * 7 + i / 3) as u8).collect();
    let at = (lsn * 31 % 480) as usize;
    image[at..at + 8].copy_from_slice(&lsn.to_le_bytes());
    image
}

/// Appends so many commits, of five images each.
fn fill(store: &Store, object: ObjectId, commits: std::ops::Range<u64>) {
    for commit in commits {
        let lsn = commit * 6;
        for i in 1..=5 {
            let key = 1 + (commit * 3 + i * i) % 30;
            let head = Head { object, ..head(Kind::After, 0, key, lsn + i) };
            store.append(head, &[&image(key, lsn + i)]).unwrap();
        }
        let body = CommitBody { time: Timestamp::new(commit), extent: Extent::new(30) };
        store.append(Head { object, ..head(Kind::Commit, 0, 0, lsn + 6) }, &[&body.encode()]).unwrap();
        store.raise_last_lsn(object, Lsn::new(lsn + 6));
    }
}

/// A store of some closed segments, and the object in it.
fn filled(dir: &Path) -> (Store, ObjectId) {
    let store = Store::open(dir, &SMALL).unwrap();
    let object = store.object("a.db", 500).unwrap();
    let era = EraBody { time: Timestamp::new(0), extent: Extent::new(30), broken: false };
    let head = Head { object, ..head(Kind::Era, 0, Engine::Wal.key().get(), 1) };
    store.append(head, &[&era.encode()]).unwrap();
    fill(&store, object, 1..120);
    (store, object)
}

fn seal_all(store: &Store) -> u64 {
    let mut last = 0;
    while let Some(done) = store.seal_some().unwrap() {
        assert_eq!(done.segment.get(), last + 1);
        last += 1;
    }
    last
}

fn read_from(store: &Store, mut from: Cursor) -> Result<Vec<Record>, Code> {
    let mut found = Vec::new();
    store.scan(&mut from, &mut |head, at, len| found.push((head, at, len))).map_err(|e| e.code())?;
    let mut records = Vec::new();
    for (head, at, len) in found {
        let record = store.read(at).map_err(|e| e.code())?;
        assert_eq!((record.head, record.at, record.body.len()), (head, at, len as usize));
        records.push(record);
    }
    Ok(records)
}

fn all(store: &Store) -> Vec<Record> {
    read_from(store, Cursor::default()).unwrap()
}

/// Mappings of this process of segments in a folder that have no name any more.
#[cfg(target_os = "linux")]
fn nameless_mappings(dir: &Path) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let dir = dir.to_str().unwrap();
    maps.lines().filter(|line| line.contains(dir) && line.ends_with(".seg (deleted)")).count()
}

#[test]
fn what_was_sealed_is_scanned_and_read_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let (store, object) = filled(dir.path());
    let before = all(&store);
    let last = store.append(head(Kind::Note, 0, 1, 9), &[b"newest"]).unwrap().segment().get();
    assert!(last > 4, "only {last} segments");
    assert_eq!(seal_all(&store), last - 1);
    for id in 1..=last {
        assert_eq!((raw(dir.path(), id).exists(), sealed(dir.path(), id).exists()), (id == last, id < last));
    }
    assert_eq!(all(&store)[..before.len()], before);
    fill(&store, object, 120..200);
    let again = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(all(&again), all(&store));
    assert_eq!(all(&again)[..before.len()], before);
    assert!(seal_all_from(&again, last) > last);
    assert_eq!(all(&store), all(&again));
}

fn seal_all_from(store: &Store, from: u64) -> u64 {
    let mut last = from;
    while let Some(done) = store.seal_some().unwrap() {
        last = done.segment.get() + 1;
    }
    last
}

#[test]
fn it_takes_a_fraction_of_the_room() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = filled(dir.path());
    let mut biggest = None;
    while let Some(done) = store.seal_some().unwrap() {
        assert_eq!(done.after, fs::metadata(sealed(dir.path(), done.segment.get())).unwrap().len());
        biggest = biggest.max(Some((done.before, done.after, done.records)));
    }
    let (before, after, records) = biggest.unwrap();
    assert_eq!(before, 64 << 10);
    assert!(records > 90 && after < before / 5, "{records} records, {before} bytes became {after}");
}

#[test]
fn a_cursor_goes_on_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let (store, object) = filled(dir.path());
    let mut cursors = vec![(Cursor::default(), 0)];
    for commit in 120..220 {
        fill(&store, object, commit..commit + 1);
        let (mut cursor, mut count) = *cursors.last().unwrap();
        store.scan(&mut cursor, &mut |_, _, _| count += 1).unwrap();
        cursors.push((cursor, count));
    }
    let records = all(&store);
    seal_all(&store);
    for (cursor, count) in cursors {
        assert_eq!(read_from(&store, cursor).unwrap(), records[count..], "{cursor:?}");
    }
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
fn a_timeline_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (store, object) = filled(dir.path());
    let mut before = Timeline::new(object);
    before.catch_up(&store).unwrap();
    seal_all(&store);
    let mut after = Timeline::new(object);
    after.catch_up(&Store::open(dir.path(), &SMALL).unwrap()).unwrap();
    for target in [12, 66, 300, 6 * 119] {
        let plan = before.plan(before.last(), Lsn::new(target)).unwrap();
        assert_eq!(after.plan(after.last(), Lsn::new(target)).unwrap(), plan, "{target}");
    }
    // One that is on its way reads on.
    fill(&store, object, 120..130);
    before.catch_up(&store).unwrap();
    assert_eq!(before.last(), Lsn::new(6 * 130));
}

#[test]
fn keys_and_versions_come_from_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let (store, object) = filled(dir.path());
    let records = all(&store);
    let third = SegmentId::new(3);
    assert_eq!(store.sealed_keys(third, object).unwrap(), None);
    seal_all(&store);
    let mut images: Vec<&Record> = records.iter().filter(|it| it.at.segment() == third).collect();
    images.retain(|it| it.head.kind == Kind::After);
    let keys = store.sealed_keys(third, object).unwrap().unwrap();
    assert_eq!(keys.iter().map(|(_, count)| *count as usize).sum::<usize>(), images.len());
    for (key, _) in keys {
        let of_key = images.iter().filter(|it| it.head.key == key);
        let versions: Vec<_> = of_key.map(|it| (it.head, it.at)).collect();
        assert_eq!(store.sealed_versions(third, object, key).unwrap().unwrap(), versions);
    }
    assert_eq!(store.sealed_keys(third, ObjectId::new(9)).unwrap(), Some(vec![]));
}

#[test]
fn a_restart_or_a_lost_control_file_finds_everything() {
    for lost in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (store, object) = filled(dir.path());
        let records = all(&store);
        seal_all(&store);
        // Larger than any in the segments that are left.
        let last = store.last_lsn(object);
        drop(store);
        if lost {
            fs::remove_file(dir.path().join("control")).unwrap()
        } else {
            restart(dir.path())
        }
        let store = Store::open(dir.path(), &SMALL).unwrap();
        assert_eq!((all(&store), store.last_lsn(object)), (records, last), "lost: {lost}");
        fill(&store, object, 120..160);
        seal_all_from(&store, 0);
        assert_eq!(all(&store), all(&Store::open(dir.path(), &SMALL).unwrap()));
    }
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
fn the_limit_holds_behind_a_sealed_last_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = filled(dir.path());
    let records = all(&store);
    let upto = seal_all(&store);
    let used = store.room().used - fs::metadata(raw(dir.path(), upto + 1)).unwrap().len();
    drop(store);
    for (left, most) in [(70_000, 16_384), (6000, 4096), (0, 4096)] {
        fs::write(raw(dir.path(), upto + 1), [0; 4096]).unwrap();
        restart(dir.path());
        let options = StoreOptions { first_segment: 16 << 10, limit: used + left, ..SMALL };
        let store = Store::open(dir.path(), &options).unwrap();
        assert!(fs::metadata(raw(dir.path(), upto + 1)).unwrap().len() <= most, "{left} bytes left");
        assert!(records.starts_with(&all(&store)));
    }
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
    for at in [0, 20, 60, 85, 400, whole.len() / 2, whole.len() - 200] {
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

#[test]
fn sealing_makes_room_below_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { first_segment: 4096, max_segment: 16 << 10, limit: 128 << 10 };
    let store = Store::open(dir.path(), &options).unwrap();
    let until_full = || {
        for lsn in 1.. {
            match store.append(head(Kind::After, 0, lsn % 9, lsn), &[&image(lsn % 9, lsn)]) {
                Ok(_) => {}
                Err(AppendError::Full { .. }) => return lsn,
                Err(error) => panic!("{error}"),
            }
        }
        0
    };
    assert!(until_full() > 200);
    seal_all(&store);
    assert!(until_full() > 150);
}

#[test]
fn while_others_append_and_read_nothing_is_lost_or_doubled() {
    const EACH: u64 = 4000;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let own = Store::open(dir.path(), &SMALL).unwrap();
                let store = if writer == 0 { own } else { store.clone() };
                threads.spawn(move || {
                    for lsn in 1..=EACH {
                        let head = head(Kind::After, writer, lsn % 50, lsn);
                        if lsn % 10 == 0 {
                            store.append_batch(&[(head, &image(lsn % 50, lsn))]).unwrap();
                        } else {
                            store.append(head, &[&image(lsn % 50, lsn)]).unwrap();
                        }
                    }
                })
            })
            .collect();
        let sealers: Vec<_> = (0..2)
            .map(|_| {
                let (store, done) = (Store::open(dir.path(), &SMALL).unwrap(), &done);
                threads.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        store.seal_some().unwrap();
                    }
                })
            })
            .collect();
        let readers: Vec<_> = [store.clone(), Store::open(dir.path(), &SMALL).unwrap()]
            .into_iter()
            .map(|store| {
                threads.spawn(move || {
                    let mut cursor = Cursor::default();
                    let mut seen = [0_u64; 3];
                    let mut buffer = Vec::new();
                    while seen.iter().sum::<u64>() < 3 * EACH {
                        let mut found = Vec::new();
                        store.scan(&mut cursor, &mut |head, at, _| found.push((head, at))).unwrap();
                        for (head, at) in found {
                            let (writer, lsn) = (head.object.get() as usize, head.lsn.get());
                            seen[writer] += 1;
                            assert_eq!(lsn, seen[writer]);
                            assert_eq!(store.read_into(at, &mut buffer).unwrap(), head);
                            assert_eq!(buffer, image(lsn % 50, lsn));
                        }
                    }
                })
            })
            .collect();
        for thread in writers.into_iter().chain(readers) {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for thread in sealers {
            thread.join().unwrap();
        }
    });
    seal_all_from(&store, 0);
    assert_eq!(all(&store).len(), 3 * EACH as usize);
    assert!(sealed(dir.path(), 20).exists());
}

#[test]
fn the_background_thread_seals_and_ends_with_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = filled(dir.path());
    let records = all(&store);
    store.seal_in_background().unwrap();
    store.seal_in_background().unwrap();
    let started = std::time::Instant::now();
    while !sealed(dir.path(), 4).exists() {
        assert!(started.elapsed().as_secs() < 60, "nothing is sealed");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(all(&store), records);
    drop(store);
    let again = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(all(&again), records);
}
