//! Threads at full speed on one store: appending, in batches too, rolling segments, reading, giving up what the dead
//! left.
//!
//! `make race` runs this and `all_at_once.rs` under ThreadSanitizer, which reports any two accesses that nothing orders (`rust/docs/models.md`).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod forge;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use dbrewind_core::{Cursor, Head, Key, Kind, Lsn, ObjectId, Store, StoreOptions, Timeline};

/// The log goes on in another segment all the time.
const ROLLING: StoreOptions =
    StoreOptions { first_segment: 8 << 10, max_segment: 64 << 10, limit: 256 << 20 };
/// Room for everything, less than what has pages made present, and batches are copied through the mapping.
const ONE_SEGMENT: StoreOptions =
    StoreOptions { first_segment: 2 << 20, max_segment: 2 << 20, limit: 2 << 20 };
const WRITERS: u32 = 3;
const EACH: u64 = 400;

fn rounds() -> u64 {
    std::env::var("DBREWIND_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn head(writer: u32, lsn: u64) -> Head {
    let object = ObjectId::new(writer);
    Head { kind: Kind::After, flags: 0, object, key: Key::new(u64::from(writer)), lsn: Lsn::new(lsn) }
}

/// Whose and which it is follows from every byte of it.
fn body(writer: u32, lsn: u64) -> Vec<u8> {
    let seed = (u64::from(writer) << 32 | lsn).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = if seed.is_multiple_of(7) { seed % 3000 } else { seed % 150 };
    (0..len).map(|i| (seed >> (i % 8 * 8)) as u8).collect()
}

fn write(store: &Store, writer: u32, rolling: bool) {
    let mut last = 0;
    while last < EACH {
        let most = if rolling { 40 } else { 5 };
        let count = if last.is_multiple_of(5) { 1 + (last / 5) % most } else { 1 };
        let bodies: Vec<Vec<u8>> = (1..=count).map(|i| body(writer, last + i)).collect();
        if count == 1 {
            let (left, right) = bodies[0].split_at(bodies[0].len() / 2);
            store.append(head(writer, last + 1), &[left, right]).unwrap();
        } else {
            let heads = (1..=count).map(|i| head(writer, last + i));
            let records: Vec<_> = heads.zip(bodies.iter().map(Vec::as_slice)).collect();
            store.append_batch(&records).unwrap();
        }
        last += count;
        store.raise_last_lsn(ObjectId::new(writer), Lsn::new(last));
        if rolling && last.is_multiple_of(3) {
            store.object(&format!("object {}", last % 4), 8).unwrap();
        }
    }
}

/// Reads on until everything is there. What was announced before a look is found by it, unless something in flight
/// stands before it.
fn read(store: &Store, done: &AtomicBool) -> BTreeMap<u32, u64> {
    let mut cursor = Cursor::default();
    let mut seen = BTreeMap::new();
    let mut buffer = Vec::new();
    loop {
        // Acquire: partner of the release after the writers have ended.
        let last_look = done.load(Ordering::Acquire);
        let mut found = Vec::new();
        store.scan(&mut cursor, &mut |head, at, _| found.push((head, at))).unwrap();
        for (seen_head, at) in found.into_iter().filter(|(head, _)| head.kind == Kind::After) {
            assert_eq!(store.read_into(at, &mut buffer).unwrap(), seen_head);
            let (writer, lsn) = (seen_head.object.get(), seen_head.lsn.get());
            assert_eq!(buffer, body(writer, lsn));
            assert_eq!(seen.insert(writer, lsn).unwrap_or(0) + 1, lsn, "writer {writer}");
        }
        if last_look {
            return seen;
        }
    }
}

/// Leaves a reservation of a writer that is gone at the end of the log.
fn leave_one_of_the_dead(store: &Store, dir: &Path, options: &StoreOptions) {
    let gone = Store::open(dir, options).unwrap();
    let at = store.append(head(WRITERS, 1), &[&body(WRITERS, 1)]).unwrap();
    let mut generation = [0; 4];
    let control = fs::File::open(dir.join("control")).unwrap();
    control.read_exact_at(&mut generation, 4096 + 16).unwrap();
    let generation = u32::from_le_bytes(generation) as u16;
    let end = at.offset() + (40 + body(WRITERS, 1).len() as u32).next_multiple_of(8);
    forge::reserve(dir, (1, generation), 1, end, 96).unwrap();
    drop(gone);
}

#[test]
fn threads_in_one_segment() {
    run(&ONE_SEGMENT, false);
}

#[test]
fn threads_that_roll_segments() {
    run(&ROLLING, true);
}

fn run(options: &StoreOptions, rolling: bool) {
    for _ in 0..rounds() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), options).unwrap();
        leave_one_of_the_dead(&store, dir.path(), options);
        let done = AtomicBool::new(false);
        let start = Barrier::new(WRITERS as usize + 3);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        read(&store, &done)
                    })
                })
                .collect();
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (store, start) = (store.clone(), &start);
                    scope.spawn(move || {
                        start.wait();
                        write(&store, writer, rolling);
                    })
                })
                .collect();
            start.wait();
            let mut timeline = Timeline::new(ObjectId::new(50));
            store.sync().unwrap();
            timeline.catch_up(&store).unwrap();
            for writer in writers {
                writer.join().unwrap();
            }
            // Release: partner of the acquire in `read`.
            done.store(true, Ordering::Release);
            for reader in readers {
                let seen = reader.join().unwrap();
                for writer in 0..WRITERS {
                    let last = store.last_lsn(ObjectId::new(writer)).get();
                    assert!(last >= EACH);
                    assert_eq!(seen.get(&writer), Some(&last), "writer {writer}");
                }
            }
        });
    }
}
