//! Of what is sealed little is read until somebody asks for it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/closed_segments.rs"]
#[expect(dead_code, reason = "what other tests use")]
mod closed_segments;

use std::fs;
use std::path::Path;

use closed_segments::{SMALL, fill, filled, sealed};
use dbrewind_core::{Code, Kind, Lsn, ObjectId, Store, Timeline};

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

/// Where the digest of a sealed file is, with what stands before its content.
fn digest_of(file: &[u8]) -> std::ops::Range<usize> {
    let len = u32::from_le_bytes(file[80 + 4..80 + 8].try_into().unwrap()) as usize;
    80..80 + 8 + len
}

/// A digest says nothing that is not in its segment: damaged, forged or of another segment, it is made anew.
#[test]
fn hazard_a_digest_is_damaged_whose_segment_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let (store, before, object) = sealed_and_read(dir.path());
    let objects = store.objects().unwrap();
    let mut full = Timeline::new(object);
    full.catch_up(&store).unwrap();
    drop(store);
    let path = sealed(dir.path(), 2);
    let whole = fs::read(&path).unwrap();
    let other = fs::read(sealed(dir.path(), 3)).unwrap();
    let at = digest_of(&whole);
    let flipped = at.clone().step_by(7).chain(at.start..at.start + 32).map(|byte| {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x11;
        bytes
    });
    let mut none = whole.clone();
    none[at.clone()].fill(0);
    let mut swapped = whole.clone();
    let foreign = &other[digest_of(&other)];
    let len = foreign.len().min(at.len());
    swapped[at.start..at.start + len].copy_from_slice(&foreign[..len]);
    for (number, bytes) in flipped.chain([none, swapped]).enumerate() {
        fs::write(&path, &bytes).unwrap();
        let store = Store::open(dir.path(), &SMALL).unwrap();
        assert_eq!(store.objects().unwrap(), objects, "{number}");
        let mut lazy = Timeline::lazy(object);
        lazy.catch_up(&store).unwrap();
        assert_eq!((lazy.last(), lazy.highest()), (before.last(), before.highest()), "{number}");
        let middle = Lsn::new(100 * 6 + 6);
        assert!(!lazy.knows(middle), "as little as ever is read of the others");
        lazy.read_back(&store, middle).unwrap();
        let (now, past) = (lazy.plan(lazy.last(), middle), full.plan(full.last(), middle));
        assert_eq!(now.unwrap(), past.unwrap(), "{number}");
    }
}

/// A file with another digest, hashes and lengths as they have to be.
fn with_digest(file: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let at = digest_of(file);
    let digest = &file[at.start + 8..at.end];
    let mut plain = Vec::with_capacity(1 << 20);
    zstd_safe::decompress(&mut plain, &digest[24..]).unwrap();
    change(&mut plain);
    let mut packed = Vec::with_capacity(1 << 20);
    zstd_safe::compress(&mut packed, &plain, 3).unwrap();
    let mut made = [&digest[..8], &(plain.len() as u64).to_le_bytes()].concat();
    let hash = xxhash_rust::xxh3::xxh3_64(&[made.as_slice(), packed.as_slice()].concat());
    made.extend(hash.to_le_bytes());
    made.extend(packed);
    let mut header = file[..80].to_vec();
    let moved = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let moved = |at: usize| (moved(at) + made.len() as u64 - digest.len() as u64).to_le_bytes();
    header[56..64].copy_from_slice(&moved(56));
    header[64..72].copy_from_slice(&moved(64));
    let hash = xxhash_rust::xxh3::xxh3_64(&header[8..72]);
    header[72..80].copy_from_slice(&hash.to_le_bytes());
    let frame = [&file[80..84], &(made.len() as u32).to_le_bytes()].concat();
    [header.as_slice(), &frame, &made, &file[at.end..]].concat()
}

#[test]
fn hazard_a_digest_with_a_right_hash_contradicts_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, before, object) = sealed_and_read(dir.path());
    drop(store);
    let path = sealed(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    // What is listed first is the object's registration, then its `ERA`: as if that one were of a kind that may stand anywhere.
    let made = with_digest(&whole, |plain| {
        let era = plain.windows(2).position(|it| it == [Kind::Era as u8, 0]).unwrap();
        plain[era] = Kind::Note as u8;
    });
    fs::write(&path, made).unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let mut lazy = Timeline::lazy(object);
    lazy.catch_up(&store).unwrap();
    assert_eq!((lazy.last(), lazy.highest(), lazy.era()), (before.last(), before.highest(), before.era()));
    assert!(lazy.knows(Lsn::new(100 * 6 + 6)));
}

#[test]
fn a_damaged_digest_of_a_damaged_segment_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, object) = sealed_and_read(dir.path());
    drop(store);
    let path = sealed(dir.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    bytes[80 + 8 + 26] ^= 1;
    let index = u64::from_le_bytes(bytes[8 + 48..8 + 56].try_into().unwrap()) as usize;
    bytes[index + 50] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    assert_eq!(Timeline::lazy(object).catch_up(&store).unwrap_err().code(), Code::StoreDamaged);
    assert_eq!(store.objects().unwrap_err().code(), Code::StoreDamaged);
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
