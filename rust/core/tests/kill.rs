//! Writers that are killed at any instruction: nothing that was committed is lost or corrupt, and
//! nobody is blocked by what they leave behind.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/child.rs"]
mod child;

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use child::Random;
use dbrewind_core::{Cursor, Head, Key, Kind, Lsn, ObjectId, Store, StoreOptions};

const OPTIONS: StoreOptions =
    StoreOptions { first_segment: 16 << 10, max_segment: 256 << 10, limit: 2 << 30 };
const WRITERS: u32 = 4;

/// The body of a writer's record: its length and its bytes follow from who wrote it and when.
fn body(writer: u32, lsn: u64) -> Vec<u8> {
    let seed = (u64::from(writer) << 48 | lsn).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = if seed >> 60 == 0 { seed % 5000 } else { seed % 200 };
    (0..len).map(|i| (seed >> (i % 8 * 8)) as u8).collect()
}

fn head(writer: u32, lsn: u64) -> Head {
    let object = ObjectId::new(writer);
    Head { kind: Kind::After, flags: 0, object, key: Key::new(u64::from(writer)), lsn: Lsn::new(lsn) }
}

/// Appends until it is killed; announces each LSN after its record was committed.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_writes() {
    let Some((folder, writer)) = child::given() else { return };
    let writer: u32 = writer.parse().unwrap();
    let store = Store::open(&folder, &OPTIONS).unwrap();
    let mut last = store.last_lsn(ObjectId::new(writer)).get();
    // The one before may have been killed between the append and the announcement.
    store
        .scan(&mut Cursor::default(), &mut |head, _, _| {
            if head.object.get() == writer {
                last = last.max(head.lsn.get());
            }
        })
        .unwrap();
    loop {
        // Now and then many at once: through the mapping, or, if they are long, through a system call.
        let count = if last.is_multiple_of(5) { last % 90 } else { 0 };
        if count > 1 {
            let bodies: Vec<Vec<u8>> = (1..=count).map(|i| body(writer, last + i)).collect();
            let heads = (1..=count).map(|i| head(writer, last + i));
            let records: Vec<_> = heads.zip(bodies.iter().map(Vec::as_slice)).collect();
            store.append_batch(&records).unwrap();
            last += count;
        } else {
            last += 1;
            let body = body(writer, last);
            let (left, right) = body.split_at(body.len() / 2);
            store.append(head(writer, last), &[left, right]).unwrap();
        }
        store.raise_last_lsn(ObjectId::new(writer), Lsn::new(last));
    }
}

#[test]
fn hazard_kill_at_any_instruction() {
    for seed in 1..=5 {
        kill_writers(20, Random(seed * 0x5eed_0001));
    }
}

fn kill_writers(kills: u32, mut random: Random) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let mut cursor = Cursor::default();
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    let mut own = 0;
    let mut killed = 0;
    while killed < kills {
        let mut children: Vec<Child> = (0..2 + random.below(u64::from(WRITERS) - 1) as u32)
            .map(|writer| child::spawn("child_that_writes", dir.path(), &writer.to_string(), &[]))
            .collect();
        let before: Vec<Lsn> = (0..WRITERS).map(|w| store.last_lsn(ObjectId::new(w))).collect();
        // Most rounds let everybody get to work first; some kill during the opening.
        if random.below(4) > 0 {
            let started = Instant::now();
            let at_work = |w: usize| store.last_lsn(ObjectId::new(w as u32)) > before[w];
            while !(0..children.len()).all(at_work) {
                assert!(started.elapsed() < Duration::from_secs(60), "writers do not get to work");
                std::thread::sleep(Duration::from_micros(200));
            }
        } else {
            std::thread::sleep(Duration::from_micros(random.below(8000)));
        }
        for child in &mut children {
            std::thread::sleep(Duration::from_micros(random.below(1500)));
            child.kill().unwrap();
            killed += 1;
        }
        for child in &mut children {
            child.wait().unwrap();
        }
        own += 1;
        store.append(head(WRITERS, own), &[&body(WRITERS, own)]).unwrap();
        store.raise_last_lsn(ObjectId::new(WRITERS), Lsn::new(own));
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        store.scan(&mut cursor, &mut |head, at, _| found.push((head, at))).unwrap();
        for (head, at) in found {
            assert_eq!(store.read_into(at, &mut buffer).unwrap(), head);
            let (writer, lsn) = (head.object.get(), head.lsn.get());
            assert_eq!(buffer, body(writer, lsn), "writer {writer}, LSN {lsn}");
            let last = seen.insert(writer, lsn).unwrap_or(0);
            assert_eq!(lsn, last + 1, "writer {writer} lost a record or wrote it twice");
        }
        for writer in 0..=WRITERS {
            let announced = store.last_lsn(ObjectId::new(writer)).get();
            let found = seen.get(&writer).copied().unwrap_or(0);
            assert!(found >= announced, "writer {writer}: {announced} announced, {found} found");
        }
    }
    let fresh = Store::open(dir.path(), &OPTIONS).unwrap();
    let mut total = 0_u64;
    fresh.scan(&mut Cursor::default(), &mut |_, _, _| total += 1).unwrap();
    assert_eq!(total, seen.values().sum::<u64>());
}

/// Holds the role, leaves it to nobody, and has a forked child outlive it.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
#[expect(unsafe_code, reason = "fork")]
fn child_that_holds_and_forks() {
    let Some((folder, _)) = child::given() else { return };
    let store = Store::open(&folder, &OPTIONS).unwrap();
    let _holder = store.try_hold(ObjectId::new(0)).unwrap().unwrap();
    let _lock = store.lock_object(ObjectId::new(0), Duration::ZERO).unwrap();
    // SAFETY: the child only sleeps.
    let child = unsafe { libc::fork() };
    if child > 0 {
        std::fs::write(folder.join("child"), child.to_string()).unwrap();
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
#[expect(unsafe_code, reason = "kill")]
fn hazard_forked_child_outlives_the_holder() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let mut child = child::spawn("child_that_holds_and_forks", dir.path(), "", &[]);
    let started = Instant::now();
    let grandchild: i32 = loop {
        let text = std::fs::read_to_string(dir.path().join("child")).unwrap_or_default();
        if let Ok(pid) = text.parse() {
            break pid;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the child does not get to work");
        std::thread::sleep(Duration::from_millis(1));
    };
    let while_alive = store.try_hold(ObjectId::new(0)).unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    // A forked child lets go as soon as it runs, which may be after its parent's death.
    let ended = Instant::now();
    let holder = loop {
        let holder = store.try_hold(ObjectId::new(0));
        if !matches!(holder, Ok(None)) || ended.elapsed() > Duration::from_secs(20) {
            break holder;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let lock = store.lock_object(ObjectId::new(0), Duration::from_secs(5));
    // SAFETY: the process is the one whose id its parent wrote down; it has no other purpose.
    let killed = unsafe { libc::kill(grandchild, libc::SIGKILL) };
    assert!(!while_alive, "the role was given away while its holder lived");
    assert!(holder.unwrap().is_some(), "the grandchild keeps the role of a dead holder");
    assert!(lock.is_ok(), "the grandchild keeps the lock of a dead process");
    assert_eq!(killed, 0, "the grandchild was gone before the test ended");
}
