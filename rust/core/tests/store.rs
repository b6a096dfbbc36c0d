//! The store's promises in one process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Barrier;
use std::time::Duration;

use dbrewind_core::{
    AppendError, Code, Cursor, Head, Key, Kind, Location, LockError, Lsn, ObjectId, Record, Store,
    StoreOptions,
};

const SMALL: StoreOptions = StoreOptions { first_segment: 4096, max_segment: 64 << 10, limit: 64 << 20 };

fn head(object: ObjectId, key: u64, lsn: u64) -> Head {
    Head { kind: Kind::After, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn) }
}

fn all(store: &Store) -> Vec<(Head, Location, u32)> {
    let mut seen = Vec::new();
    store.scan(&mut Cursor::default(), &mut |head, at, len| seen.push((head, at, len))).unwrap();
    seen
}

#[test]
fn what_was_appended_is_scanned_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let head = Head { flags: 3, ..head(object, 7, 9) };
    let at = store.append(head, &[b"ab", b"", b"c"]).unwrap();
    assert_eq!(store.read(at).unwrap(), Record { head, at, body: b"abc".to_vec() });
    assert_eq!(all(&store).last(), Some(&(head, at, 3)));
    assert_eq!(all(&store).len(), 2);
}

/// As an era with what its first frames hold: all of it, or nothing, and no segment is begun in vain.
#[test]
fn a_piece_of_many_records_goes_into_one_segment() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { max_segment: 4 << 20, ..SMALL };
    let store = Store::open(dir.path(), &options).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let body = [7; 1000];
    let records: Vec<(Head, &[u8])> = (0..1200).map(|i| (head(object, i, 5), body.as_slice())).collect();
    let first = store.append_whole(&records).unwrap();
    assert_eq!(first.segment().get(), 2, "the first segment has no room, the next one has");
    let places: Vec<_> = all(&store).into_iter().filter(|(head, ..)| head.kind == Kind::After).collect();
    assert_eq!(places.len(), 1200);
    assert!(places.iter().all(|(_, at, _)| at.segment() == first.segment()));
}

#[test]
fn a_batch_is_its_records_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    assert_eq!(store.append_batch(&[]).unwrap(), None);
    // Lengths around the padding, an empty one, and so many that they go over several segments; one longer than
    // the first segments.
    let bodies: Vec<Vec<u8>> =
        (0..900_usize).map(|i| vec![i as u8; if i == 500 { 40_000 } else { i % 19 * (i % 7) }]).collect();
    let heads = (0..900).map(|i| head(object, i, i + 1));
    let records: Vec<(Head, &[u8])> = heads.zip(bodies.iter().map(Vec::as_slice)).collect();
    for (from, to) in [(0, 1), (1, 3), (3, 400), (400, 900)] {
        let last = store.append_batch(&records[from..to]).unwrap().unwrap();
        assert_eq!(store.read(last).unwrap().body, bodies[to - 1]);
    }
    let found: Vec<_> = all(&store).into_iter().filter(|(head, ..)| head.kind == Kind::After).collect();
    assert_eq!(found.len(), records.len());
    for ((found, at, _), (head, body)) in found.iter().zip(&records) {
        assert_eq!((found, store.read(*at).unwrap().body.as_slice()), (head, *body));
    }
    drop(store);
    let again = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(all(&again).len(), records.len() + 1);
}

#[test]
fn batches_of_many_threads_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let body = vec![writer as u8; 1500];
                for batch in 0..20 {
                    let records: Vec<(Head, &[u8])> = (0..30)
                        .map(|i| (head(ObjectId::new(writer), 1, batch * 30 + i + 1), body.as_slice()))
                        .collect();
                    store.append_batch(&records).unwrap();
                }
            });
        }
    });
    for writer in 0..4 {
        let of_writer = all(&store).into_iter().filter(|(head, ..)| head.object.get() == writer);
        let lsns: Vec<u64> = of_writer.map(|(head, ..)| head.lsn.get()).collect();
        assert_eq!(lsns, (1..=600).collect::<Vec<u64>>());
    }
    for (_, at, _) in all(&store) {
        store.read(at).unwrap();
    }
}

#[test]
fn a_lock_is_refused_when_the_store_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    drop(store.lock_object(object, Duration::ZERO).unwrap());
    std::fs::remove_file(dir.path().join("locks")).unwrap();
    assert!(matches!(store.lock_object(object, Duration::ZERO), Err(LockError::Gone { .. })));
    // Somebody else's new one excludes other people than ours.
    std::fs::write(dir.path().join("locks"), b"").unwrap();
    assert!(matches!(store.lock_object(object, Duration::ZERO), Err(LockError::Gone { .. })));
}

#[test]
fn objects_are_found_by_name_and_key_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    assert_eq!(store.object("/a.db", 4096).unwrap(), object);
    let others = [store.object("/b.db", 4096).unwrap(), store.object("/a.db", 8192).unwrap()];
    assert!(!others.contains(&object) && others[0] != others[1]);
    let again = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(again.object("/a.db", 8192).unwrap(), others[1]);
    assert_eq!(all(&store).len(), 3);
}

#[test]
fn a_store_takes_256_objects_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    for i in 0..256 {
        assert_eq!(store.object(&format!("/{i}"), 0).unwrap().get(), i);
    }
    let refused = store.object("/one-more", 0).unwrap_err();
    assert!(matches!(refused, AppendError::TooManyObjects { max: 256 }));
    assert_eq!(store.object("/255", 0).unwrap().get(), 255);
}

#[test]
fn the_log_goes_over_many_segments_and_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for round in 0..3_u64 {
        let store = Store::open(dir.path(), &SMALL).unwrap();
        let object = store.object("/a.db", 4096).unwrap();
        for i in 0..300_u64 {
            let body = vec![i as u8; (i * 7 % 5000) as usize];
            let head = head(object, i, round * 1000 + i);
            written.push(Record { head, at: store.append(head, &[&body]).unwrap(), body });
        }
    }
    assert!(written.is_sorted_by_key(|record| record.at));
    assert!(written.last().unwrap().at.segment().get() > 10);
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let seen: Vec<_> = all(&store).into_iter().filter(|(head, ..)| head.kind == Kind::After).collect();
    assert_eq!(seen.len(), written.len());
    for (record, (head, at, len)) in written.iter().zip(seen) {
        assert_eq!((record.head, record.at, record.body.len()), (head, at, len as usize));
        assert_eq!(&store.read(at).unwrap(), record);
    }
}

#[test]
fn a_cursor_goes_on_where_it_stood() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, reader) =
        (Store::open(dir.path(), &SMALL).unwrap(), Store::open(dir.path(), &SMALL).unwrap());
    let object = writer.object("/a.db", 4096).unwrap();
    let mut cursor = Cursor::default();
    let mut seen = Vec::new();
    for i in 0..500 {
        writer.append(head(object, i, i), &[&[1; 200]]).unwrap();
        if i % 3 == 0 {
            reader.scan(&mut cursor, &mut |head, _, _| seen.push(head)).unwrap();
        }
    }
    reader.scan(&mut cursor, &mut |head, _, _| seen.push(head)).unwrap();
    let keys: Vec<u64> = seen.iter().filter(|h| h.kind == Kind::After).map(|h| h.key.get()).collect();
    assert_eq!(keys, (0..500).collect::<Vec<_>>());
}

#[test]
fn a_buffer_is_used_again_whatever_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let long = store.append(head(object, 1, 1), &[&[7; 900]]).unwrap();
    let short = store.append(head(object, 2, 1), &[&[8; 9]]).unwrap();
    let mut buffer = Vec::new();
    for (at, expected) in [(long, vec![7; 900]), (short, vec![8; 9]), (long, vec![7; 900])] {
        store.read_into(at, &mut buffer).unwrap();
        assert_eq!(buffer, expected);
    }
}

#[test]
fn threads_append_at_once_and_nothing_is_lost() {
    const EACH: u64 = 3000;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for i in 0..EACH {
                    let body = (thread << 32 | i).to_le_bytes().repeat((i % 9) as usize);
                    store.append(head(object, thread, i), &[&body]).unwrap();
                }
            });
        }
    });
    let mut next = [0; 4];
    for (head, at, _) in all(&store).into_iter().filter(|(head, ..)| head.kind == Kind::After) {
        let (thread, i) = (head.key.get(), head.lsn.get());
        assert_eq!(i, next[thread as usize], "records of one thread stay in order");
        next[thread as usize] += 1;
        let body = store.read(at).unwrap().body;
        assert_eq!(body, (thread << 32 | i).to_le_bytes().repeat((i % 9) as usize));
    }
    assert_eq!(next, [EACH; 4]);
}

#[test]
fn over_the_limit_nothing_is_promised() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { limit: 20 << 10, ..SMALL };
    let store = Store::open(dir.path(), &options).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let mut appended = 0;
    let refused = loop {
        match store.append(head(object, appended, 1), &[&[5; 1000]]) {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), Code::StoreFull);
    assert!((15..20).contains(&appended), "{appended}");
    assert_eq!(store.append(head(object, 0, 1), &[]).unwrap_err().code(), Code::StoreFull);
    assert_eq!(all(&store).len() as u64, appended + 1);
    drop(store);
    let store = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(all(&store).len() as u64, appended + 1);
    store.append(head(object, appended, 1), &[&[5; 1000]]).unwrap();
    assert_eq!(all(&store).len() as u64, appended + 2);
}

#[test]
fn a_body_longer_than_any_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let longest = (64 << 10) - 64 - 40;
    let at = store.append(head(object, 1, 1), &[&vec![9; longest]]).unwrap();
    assert_eq!(store.read(at).unwrap().body.len(), longest);
    let refused = store.append(head(object, 1, 1), &[&vec![9; longest + 1]]).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    store.append(head(object, 2, 1), &[b"goes on"]).unwrap();
}

#[test]
fn registers_are_shared_and_only_grow_when_raised() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Store::open(dir.path(), &SMALL).unwrap(), Store::open(dir.path(), &SMALL).unwrap());
    let object = one.object("/a.db", 4096).unwrap();
    one.raise_last_lsn(object, Lsn::new(9));
    two.raise_last_lsn(object, Lsn::new(4));
    assert_eq!(two.last_lsn(object), Lsn::new(9));
    for index in 0..7 {
        assert_eq!(one.raise_register(object, index, 5), 0);
        assert_eq!(two.raise_register(object, index, 3), 5);
        assert_eq!(two.add_register(object, index, u64::MAX), 5);
        assert_eq!(one.register(object, index), 4);
        two.set_register(object, index, 1);
        assert_eq!(one.register(object, index), 1);
    }
    assert_eq!(one.last_lsn(object), Lsn::new(9));
    one.set_register(object, 7, 1);
    one.set_register(ObjectId::new(256), 0, 1);
    one.set_register(object, 7, 3);
    assert_eq!([7, 8].map(|index| one.register(object, index)), [3, 0]);
    assert_eq!(one.register(ObjectId::new(256), 0), 0);
}

#[test]
fn the_first_reason_for_broken_stays_until_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Store::open(dir.path(), &SMALL).unwrap(), Store::open(dir.path(), &SMALL).unwrap());
    let (a, b) = (one.object("/a.db", 0).unwrap(), one.object("/b.db", 0).unwrap());
    assert_eq!(one.broken(a), None);
    two.set_broken(a, Code::StoreFull);
    two.set_broken(a, Code::Io);
    assert_eq!(one.broken(a), Some(Code::StoreFull));
    one.clear_broken(a);
    assert_eq!(two.broken(a), None);
    // One object's trouble is not another's, nor is its end.
    one.set_broken(b, Code::Io);
    assert_eq!(two.broken(a), None);
    one.set_broken(a, Code::StoreFull);
    one.clear_broken(a);
    assert_eq!(two.broken(b), Some(Code::Io));
    assert_eq!(one.broken(ObjectId::new(256)), None);
}

#[test]
fn object_locks_exclude_threads_and_handles() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Store::open(dir.path(), &SMALL).unwrap(), Store::open(dir.path(), &SMALL).unwrap());
    let (a, b) = (ObjectId::new(0), ObjectId::new(1));
    let lock = one.lock_object(a, Duration::ZERO).unwrap();
    for store in [&one, &two] {
        let busy = store.lock_object(a, Duration::from_millis(2)).unwrap_err();
        assert!(matches!(busy, LockError::Busy { .. }));
        assert_eq!(busy.code(), Code::Busy);
    }
    drop(two.lock_object(b, Duration::ZERO).unwrap());
    drop(lock);
    drop(two.lock_object(a, Duration::ZERO).unwrap());

    let holder = one.try_hold(a).unwrap();
    assert!(holder.is_some());
    assert!(one.try_hold(a).unwrap().is_none());
    assert!(two.try_hold(a).unwrap().is_none());
    drop(holder);
    assert!(two.try_hold(a).unwrap().is_some());
}

#[test]
fn sync_can_be_called_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    store.sync().unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    for i in 0..100 {
        store.append(head(object, i, i), &[&[1; 900]]).unwrap();
        if i % 30 == 0 {
            store.sync().unwrap();
        }
    }
    Store::open(dir.path(), &SMALL).unwrap().sync().unwrap();
}

#[test]
fn a_busy_store_asks_for_pages_ahead_and_closes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    for i in 0..3000 {
        store.append(head(object, i, i), &[&[i as u8; 4096]]).unwrap();
    }
    drop(store);
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    let seen = all(&store);
    assert_eq!(seen.len(), 3001);
    for (head, at, _) in seen.into_iter().skip(1) {
        assert!(store.read(at).unwrap().body.iter().all(|byte| *byte == head.key.get() as u8));
    }
}

#[test]
fn the_limit_that_was_set_last_holds_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let one = Store::open(dir.path(), &StoreOptions { limit: 20 << 10, ..SMALL }).unwrap();
    let two = Store::open(dir.path(), &SMALL).unwrap();
    let object = one.object("/a.db", 4096).unwrap();
    let fill = |store: &Store| (0..1000).find_map(|_| store.append(head(object, 1, 1), &[&[5; 1000]]).err());
    assert_eq!(fill(&one).unwrap().code(), Code::StoreFull, "its own, as nobody has set one");
    two.set_limit(100 << 10);
    let text = fill(&one).unwrap().to_string();
    assert!(text.contains("its limit is 102400") && text.contains("limit=204800"), "{text}");
    assert_eq!(fill(&two).unwrap().code(), Code::StoreFull);
    let room = one.room();
    assert_eq!((room.limit, room.used), (100 << 10, 100 << 10));
    assert!(room.on_disk > 0);
    drop((one, two));
    let later = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(fill(&later).unwrap().code(), Code::StoreFull);
    later.set_limit(1 << 20);
    later.append(head(object, 1, 1), &[&[5; 1000]]).unwrap();
}

#[test]
fn the_first_segment_is_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { limit: 1 << 20, ..StoreOptions::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    assert_eq!(store.room().used, 1 << 17);
}

#[test]
fn impossible_sizes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for options in
        [StoreOptions { first_segment: 128 << 10, ..SMALL }, StoreOptions { max_segment: 2 << 30, ..SMALL }]
    {
        assert_eq!(Store::open(dir.path(), &options).unwrap_err().code(), Code::InvalidArgument);
    }
    let options = StoreOptions { limit: 100, ..SMALL };
    assert_eq!(Store::open(dir.path(), &options).unwrap_err().code(), Code::StoreFull);
}

/// Whoever goes on in a store that is not at its path any more excludes nobody, and leaves nothing behind.
#[test]
fn a_store_that_was_taken_away_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let open = || Store::open(&path, &StoreOptions::default()).unwrap();
    let away = dir.path().join("away");
    let take_away: [(&str, &dyn Fn()); 4] = [
        ("removed", &|| std::fs::remove_dir_all(&path).unwrap()),
        ("renamed", &|| std::fs::rename(&path, &away).unwrap()),
        ("lock file removed", &|| std::fs::remove_file(path.join("locks")).unwrap()),
        ("replaced", &|| {
            std::fs::remove_dir_all(&path).unwrap();
            drop(open());
        }),
    ];
    for (how, take) in take_away {
        let store = open();
        let object = store.object("/a.db", 4096).unwrap();
        store.check_in_place().unwrap();
        drop(store.lock_object(object, Duration::ZERO).unwrap());
        take();
        assert_eq!(store.check_in_place().unwrap_err().code(), Code::StoreDamaged, "{how}");
        assert_eq!(
            store.lock_object(object, Duration::ZERO).unwrap_err().code(),
            Code::StoreDamaged,
            "{how}"
        );
        assert_eq!(store.try_hold(object).unwrap_err().code(), Code::StoreDamaged, "{how}");
    }
}

#[test]
fn an_object_may_get_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path(), &StoreOptions::default()).unwrap();
    let (store, other) = (open(), open());
    let object = store.object("old.db", 4096).unwrap();
    let larger = store.object("old.db", 8192).unwrap();
    let taken = store.object("taken.db", 4096).unwrap();
    store.append(head(object, 1, 1), &[b"page"]).unwrap();
    assert_eq!(store.rename_object(object, "taken.db").unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(store.rename_object(ObjectId::new(7), "new.db").unwrap_err().code(), Code::InvalidArgument);
    store.rename_object(object, "new.db").unwrap();
    store.rename_object(object, "new.db").unwrap();
    for store in [store, other, open()] {
        assert_eq!(store.object("new.db", 4096).unwrap(), object);
        let names =
            [(object, "new.db".to_owned()), (larger, "old.db".to_owned()), (taken, "taken.db".to_owned())];
        assert_eq!(store.objects().unwrap(), names);
        assert_eq!(all(&store).iter().filter(|(head, ..)| head.kind == Kind::Object).count(), 4);
    }
    let again = open().object("old.db", 4096).unwrap();
    assert!(again != object && again != taken && again != larger);
}
