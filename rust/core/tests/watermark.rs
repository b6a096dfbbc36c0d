//! A record in flight: readers stop before it, writers go on after it, and only a dead writer's is
//! given up.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod forge;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dbrewind_core::{
    Cursor, Extent, Head, Key, Kind, Lsn, MarkBody, MarkName, ObjectId, Store, StoreOptions, SyncError,
    Timeline, Timestamp,
};

const OPTIONS: StoreOptions = StoreOptions { first_segment: 64 << 10, max_segment: 64 << 10, limit: 1 << 20 };
const SLOTS_AT: u64 = 4096;

fn head(lsn: u64) -> Head {
    Head { kind: Kind::Commit, flags: 0, object: ObjectId::new(0), key: Key::new(0), lsn: Lsn::new(lsn) }
}

fn lsns(store: &Store, cursor: &mut Cursor) -> Vec<u64> {
    let mut seen = Vec::new();
    store.scan(cursor, &mut |head, _, _| seen.push(head.lsn.get())).unwrap();
    seen
}

/// Leaves a reservation of the slot's present owner in segment 1.
fn reserve(dir: &Path, slot: u16, at: u32, len: u32) {
    let mut generation = [0; 4];
    let control = fs::File::open(dir.join("control")).unwrap();
    control.read_exact_at(&mut generation, SLOTS_AT + 16 * u64::from(slot)).unwrap();
    let generation = u32::from_le_bytes(generation) as u16;
    forge::reserve(dir, (slot, generation), 1, at, len).unwrap();
}

#[test]
fn hazard_slow_writer_is_not_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let slow = Store::open(dir.path(), &OPTIONS).unwrap();
    let at = store.append(head(1), &[b"12345678"]).unwrap();
    reserve(dir.path(), 1, at.offset() + 48, 24);

    let mut cursor = Cursor::default();
    assert_eq!(lsns(&store, &mut cursor), [1]);
    let behind = store.append(head(2), &[]).unwrap();
    assert_eq!(behind.offset(), at.offset() + 48 + 64, "the writer goes on after it");
    assert_eq!(lsns(&store, &mut cursor), [0; 0], "the reader stops before it");
    assert_eq!(store.read(behind).unwrap().head, head(2));

    // Registering looks past it: otherwise a name could be registered twice.
    let object = store.object("/a.db", 1).unwrap();
    assert_eq!(slow.object("/a.db", 1).unwrap(), object);
    let third = Store::open(dir.path(), &OPTIONS).unwrap();
    assert_eq!(third.object("/a.db", 1).unwrap(), object);
    assert_eq!(lsns(&store, &mut cursor), [0; 0]);
    // A power cut would end the log before it.
    assert!(matches!(store.sync(), Err(SyncError::InFlight { .. })));

    drop(slow);
    store.sync().unwrap();
    assert_eq!(lsns(&store, &mut cursor), [2, 0], "its writer is gone");
}

#[test]
fn a_slots_next_owner_does_not_answer_for_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let at = store.append(head(1), &[]).unwrap();
    let gone = Store::open(dir.path(), &OPTIONS).unwrap();
    reserve(dir.path(), 1, at.offset() + 40, 24);
    drop(gone);
    let next = Store::open(dir.path(), &OPTIONS).unwrap();
    next.append(head(2), &[]).unwrap();
    assert_eq!(lsns(&store, &mut Cursor::default()), [1, 2]);
}

#[test]
fn a_damaged_hint_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    for lsn in 1..=100_u64 {
        let control = fs::OpenOptions::new().write(true).open(dir.path().join("control")).unwrap();
        let stray = lsn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        control.write_all_at(&stray.to_le_bytes(), 192).unwrap();
        store.append(head(lsn), &[b"123"]).unwrap();
    }
    assert_eq!(lsns(&store, &mut Cursor::default()), (1..=100).collect::<Vec<_>>());
}

/// Two marks of one name behind a record in flight: a look before the append sees neither, and would accept both.
#[test]
fn hazard_slow_writer_hides_a_mark_of_the_same_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let slow = Store::open(dir.path(), &OPTIONS).unwrap();
    let at = store.append(head(1), &[]).unwrap();
    reserve(dir.path(), 1, at.offset() + 40, 24);
    let name = MarkName::new("seeded").unwrap();
    let body = MarkBody { time: Timestamp::default(), extent: Extent::default(), name, note: &[] }.encode();
    let mut timeline = Timeline::new(ObjectId::new(1));
    let mark = |timeline: &mut Timeline| {
        timeline.catch_up(&store).unwrap();
        assert!(timeline.mark("seeded").is_none(), "hidden");
        let head = Head { kind: Kind::Mark, object: ObjectId::new(1), ..head(1) };
        store.append(head, &[&body]).unwrap()
    };
    let [first, second] = [mark(&mut timeline), mark(&mut timeline)];
    assert!(!timeline.has_read(first) && !timeline.has_read(second));
    drop(slow);
    timeline.catch_up(&store).unwrap();
    assert!(timeline.has_read(first) && timeline.has_read(second));
    assert_eq!([first, second].map(|at| timeline.was_refused(at)), [false, true]);
    assert!(timeline.mark("seeded").is_some());
}
