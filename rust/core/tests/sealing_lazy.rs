//! Of what is sealed little is read until somebody asks for it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/closed_segments.rs"]
#[expect(dead_code, reason = "what other tests use")]
mod closed_segments;

use std::fs;
use std::path::Path;

use closed_segments::{SMALL, fill, filled, sealed};
use dbrewind_core::{Code, Lsn, ObjectId, Store, Timeline};

/// A lazy timeline of a store of which all but the last segment is sealed.
fn sealed_and_read(dir: &Path) -> (Store, Timeline, ObjectId) {
    let (store, object) = filled(dir);
    fill(&store, object, 400..420);
    while store.seal_some().unwrap().is_some() {}
    let mut timeline = Timeline::lazy(object);
    timeline.catch_up(&store).unwrap();
    (store, timeline, object)
}

#[test]
fn what_is_sealed_is_read_when_somebody_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut lazy, object) = sealed_and_read(dir.path());
    let mut full = Timeline::new(object);
    full.catch_up(&store).unwrap();
    assert_eq!((lazy.last(), lazy.highest(), lazy.era()), (full.last(), full.highest(), full.era()));
    let middle = Lsn::new(100 * 6 + 6);
    assert!(full.knows(middle) && !lazy.knows(middle));
    assert_eq!(lazy.reachable(middle).unwrap_err().code(), Code::Internal);
    assert!(lazy.plan(lazy.last(), middle).is_err() && lazy.vantage(middle).is_none());
    lazy.read_back(&store, middle).unwrap();
    assert!(lazy.knows(middle));
    assert_eq!(lazy.plan(lazy.last(), middle).unwrap(), full.plan(full.last(), middle).unwrap());
    // It stays so.
    fill(&store, object, 420..425);
    lazy.catch_up(&store).unwrap();
    full.catch_up(&store).unwrap();
    assert_eq!(lazy.plan(lazy.last(), middle).unwrap(), full.plan(full.last(), middle).unwrap());
}

#[test]
fn who_opens_a_database_reads_no_index_of_a_sealed_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (store, before, object) = sealed_and_read(dir.path());
    drop(store);
    // The last bytes before the seek table are of the index.
    let path = sealed(dir.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    let index = u64::from_le_bytes(bytes[8 + 48..8 + 56].try_into().unwrap()) as usize;
    bytes[index + 50] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(store.object("a.db", 500).unwrap(), object);
    let mut lazy = Timeline::lazy(object);
    lazy.catch_up(&store).unwrap();
    assert_eq!((lazy.last(), lazy.highest()), (before.last(), before.highest()));
    let error = lazy.read_back(&store, Lsn::new(100 * 6 + 6)).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged);
    assert_eq!(Timeline::new(object).catch_up(&store).unwrap_err().code(), Code::StoreDamaged);
}

#[test]
fn a_damaged_digest_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, object) = sealed_and_read(dir.path());
    drop(store);
    let path = sealed(dir.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    bytes[80 + 8 + 26] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(Timeline::lazy(object).catch_up(&store).unwrap_err().code(), Code::StoreDamaged);
    assert_eq!(store.objects().unwrap_err().code(), Code::StoreDamaged);
    // Whoever reads everything needs no digest.
    Timeline::new(object).catch_up(&store).unwrap();
}

#[test]
fn a_digest_of_another_segment_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, object) = sealed_and_read(dir.path());
    drop(store);
    let store = Store::open(dir.path(), &SMALL).unwrap();
    fs::copy(sealed(dir.path(), 3), sealed(dir.path(), 2)).unwrap();
    assert_eq!(Timeline::lazy(object).catch_up(&store).unwrap_err().code(), Code::StoreDamaged);
}

#[test]
fn a_sealed_file_that_is_missing_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut known, object) = sealed_and_read(dir.path());
    drop(store);
    let store = Store::open(dir.path(), &SMALL).unwrap();
    fs::remove_file(sealed(dir.path(), 2)).unwrap();
    let error = Timeline::lazy(object).catch_up(&store).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged, "{error}");
    // Also where its digest was read before.
    assert_eq!(known.read_back(&store, Lsn::new(100 * 6 + 6)).unwrap_err().code(), Code::StoreDamaged);
    drop(store);
    assert_eq!(Store::open(dir.path(), &SMALL).unwrap_err().code(), Code::StoreDamaged);
}
