//! Sealers that are killed: at each step of the hand-over (feature `fault`), and at any instruction, with writers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/child.rs"]
mod child;

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use child::{Random, spawn};
use dbrewind_core::{Cursor, Head, Key, Kind, Lsn, ObjectId, Record, Store, StoreOptions};

const OPTIONS: StoreOptions = StoreOptions { first_segment: 8 << 10, max_segment: 32 << 10, limit: 1 << 30 };
/// Of a sealer that goes on when there is nothing to seal.
const FOR_EVER: &str = "for ever";

fn body(writer: u32, lsn: u64) -> Vec<u8> {
    // Each key's own noise, so that it is worth to make an image of another.
    let noise = |i: u64| ((u64::from(writer) + lsn % 20 * 999 + i + 7).wrapping_pow(5) >> 9) as u8;
    let mut body: Vec<u8> = (0..lsn % 4 * 150).map(noise).collect();
    body.extend(lsn.to_le_bytes());
    body
}

fn head(writer: u32, lsn: u64) -> Head {
    let key = Key::new(1 + lsn % 20);
    Head { kind: Kind::After, flags: 0, object: ObjectId::new(writer), key, lsn: Lsn::new(lsn) }
}

fn append(store: &Store, writer: u32, lsn: u64) {
    store.append(head(writer, lsn), &[&body(writer, lsn)]).unwrap();
    store.raise_last_lsn(ObjectId::new(writer), Lsn::new(lsn));
}

fn all(store: &Store) -> Vec<Record> {
    let mut places = Vec::new();
    store.scan(&mut Cursor::default(), &mut |_, at, _| places.push(at)).unwrap();
    places.into_iter().map(|at| store.read(at).unwrap()).collect()
}

/// Seals until there is nothing left, or until it is killed.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_seals() {
    let Some((folder, role)) = child::given() else { return };
    let store = Store::open(&folder, &OPTIONS).unwrap();
    while store.seal_some().unwrap().is_some() || role == FOR_EVER {}
}

/// Appends until it is killed.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_writes() {
    let Some((folder, writer)) = child::given() else { return };
    let writer: u32 = writer.parse().unwrap();
    let store = Store::open(&folder, &OPTIONS).unwrap();
    let mut last = store.last_lsn(ObjectId::new(writer)).get();
    // The one before may have been killed between the append and the announcement.
    let mut own = |head: Head, _, _| {
        if head.object.get() == writer {
            last = last.max(head.lsn.get());
        }
    };
    store.scan(&mut Cursor::default(), &mut own).unwrap();
    loop {
        last += 1;
        append(&store, writer, last);
    }
}

/// All that the steps in `docs/sealing.md` are.
#[cfg(feature = "fault")]
const STEPS: [&str; 11] = [
    "seal: begun",
    "seal: written",
    "seal: synced",
    "seal: compared",
    "seal: renamed",
    "seal: folder synced",
    "seal: segment removed",
    "lean: written",
    "lean: synced",
    "lean: compared",
    "lean: renamed",
];

#[cfg(feature = "fault")]
#[test]
fn hazard_a_sealer_that_is_killed_at_each_step() {
    for (step, reopen) in STEPS.into_iter().flat_map(|step| [(step, true), (step, false)]) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), &OPTIONS).unwrap();
        for lsn in 1..600 {
            append(&store, 0, lsn);
        }
        let records = all(&store);
        // In the second segment, so that there is a sealed one already.
        let fault = format!("2 {step}");
        let status =
            spawn("child_that_seals", dir.path(), "", &[("DBREWIND_STORE_FAULT", &fault)]).wait().unwrap();
        assert!(!status.success() && status.code().is_none(), "{step}: {status}");
        assert_eq!(all(&store), records, "{step}: read by one who had it open");
        if reopen {
            drop(store);
            store = Store::open(dir.path(), &OPTIONS).unwrap();
            assert_eq!(all(&store), records, "{step}: read by the next");
        }
        let mut sealed = 0;
        while store.seal_some().unwrap().is_some() {
            sealed += 1;
        }
        assert!(sealed > 1, "{step}");
        let last = store.append(head(0, 600), &[&body(0, 600)]).unwrap().segment().get();
        let mut names: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".seg") || name.contains(".zst"))
            .collect();
        names.sort();
        let expected = (1..last).map(|id| format!("{id:016x}.zst")).chain([format!("{last:016x}.seg")]);
        assert_eq!(names, expected.collect::<Vec<_>>(), "{step}");
        assert_eq!(all(&store)[..records.len()], records, "{step}: read at the end");
    }
}

#[test]
fn hazard_kill_sealers_and_writers_at_any_instruction() {
    for seed in 1..=3 {
        kill_all(10, Random(seed * 0x5ea1_0001));
    }
}

fn kill_all(rounds: u32, mut random: Random) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let mut cursor = Cursor::default();
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    for _ in 0..rounds {
        let before: Vec<Lsn> = (0..2).map(|w| store.last_lsn(ObjectId::new(w))).collect();
        let mut children: Vec<Child> = ["0", "1"]
            .map(|writer| spawn("child_that_writes", dir.path(), writer, &[]))
            .into_iter()
            .chain((0..2).map(|_| spawn("child_that_seals", dir.path(), FOR_EVER, &[])))
            .collect();
        let started = Instant::now();
        while (0..2).any(|w| store.last_lsn(ObjectId::new(w)) == before[w as usize]) {
            assert!(started.elapsed() < Duration::from_secs(60), "writers do not get to work");
            std::thread::sleep(Duration::from_micros(500));
        }
        std::thread::sleep(Duration::from_millis(random.below(40)));
        let first = random.below(4) as usize;
        children.rotate_left(first);
        for child in &mut children {
            std::thread::sleep(Duration::from_micros(random.below(3000)));
            child.kill().unwrap();
        }
        for child in &mut children {
            child.wait().unwrap();
        }
        let mut found = Vec::new();
        store.scan(&mut cursor, &mut |head, at, _| found.push((head, at))).unwrap();
        for (head, at) in found {
            let (writer, lsn) = (head.object.get(), head.lsn.get());
            let record = store.read(at).unwrap();
            assert_eq!((record.head, record.body), (head, body(writer, lsn)));
            let last = seen.insert(writer, lsn).unwrap_or(0);
            assert_eq!(lsn, last + 1, "writer {writer} lost a record or wrote it twice");
        }
        for writer in 0..2 {
            let announced = store.last_lsn(ObjectId::new(writer)).get();
            assert!(seen[&writer] >= announced, "writer {writer}: {announced} announced");
        }
    }
    let fresh = Store::open(dir.path(), &OPTIONS).unwrap();
    while fresh.seal_some().unwrap().is_some() {}
    assert_eq!(all(&fresh).len() as u64, seen.values().sum::<u64>());
    assert_eq!(all(&store), all(&fresh));
}
