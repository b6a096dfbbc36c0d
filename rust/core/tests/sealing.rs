//! Sealed segments: everything that can be had of a segment can be had of them, by everybody, at any time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/closed_segments.rs"]
mod closed_segments;
#[path = "support/restart.rs"]
mod restart;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use closed_segments::{
    SMALL, all, fill, filled, head, image, raw, read_from, seal_all, seal_all_from, sealed,
};
use dbrewind_core::{AppendError, Cursor, Kind, Lsn, Store, StoreOptions, Timeline};
use restart::restart;

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
