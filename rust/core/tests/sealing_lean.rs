//! Sealed files that lean on newer ones: smaller, and for everybody the same.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/closed_segments.rs"]
#[expect(dead_code, reason = "what other tests use")]
mod closed_segments;

use std::fs;
use std::path::Path;

use closed_segments::{SMALL, all, head, read_from, seal_all_from, sealed};
use dbrewind_core::{Code, Cursor, Kind, Store, StoreOptions};

/// Forty keys of noise, in which little changes.
fn fill(store: &Store, rounds: std::ops::Range<u64>) {
    for lsn in rounds {
        let key = 1 + lsn * 7 % 40;
        let mut image: Vec<u8> =
            (1..501_u64).map(|i| ((key * 1000 + i).wrapping_pow(5) >> 11) as u8).collect();
        image[(lsn * 31 % 480) as usize] = lsn as u8;
        store.append(head(Kind::After, 0, key, lsn), &[&image]).unwrap();
    }
}

/// The newest segment that a sealed file leans on; 0: none.
fn reach(dir: &Path, id: u64) -> u64 {
    let bytes = fs::read(sealed(dir, id)).unwrap();
    let index = u64::from_le_bytes(bytes[56..64].try_into().unwrap()) as usize;
    u64::from(u32::from_le_bytes(bytes[index + 20..index + 24].try_into().unwrap()))
}

fn len(dir: &Path, id: u64) -> u64 {
    fs::metadata(sealed(dir, id)).unwrap().len()
}

#[test]
fn young_segments_take_a_fraction_and_everybody_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    fill(&store, 1..400);
    let records = all(&store);
    // Has each file open before another one takes its place.
    let other = Store::open(dir.path(), &SMALL).unwrap();
    let mut alone = Vec::new();
    while let Some(done) = store.seal_some().unwrap() {
        alone.push(done.after);
        assert_eq!(all(&other), records);
    }
    let last = alone.len() as u64;
    assert!(last > 4, "{last}");
    for id in 1..=last {
        let reach = reach(dir.path(), id);
        assert!(
            if id < last { (id + 1..=last).contains(&reach) } else { reach == 0 },
            "{id} leans on {reach}"
        );
    }
    for (id, alone) in (1..last).zip(&alone) {
        let leans = len(dir.path(), id);
        assert!(leans < alone / 2, "segment {id}: {alone} bytes alone, {leans} now");
    }
    assert_eq!(all(&store), records);
    assert_eq!(all(&Store::open(dir.path(), &SMALL).unwrap()), records);
}

#[test]
fn no_body_is_made_of_more_than_eight_files() {
    let options = StoreOptions { first_segment: 32 << 10, max_segment: 32 << 10, limit: 64 << 20 };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options).unwrap();
    fill(&store, 1..1200);
    let records = all(&store);
    let last = seal_all_from(&store, 0) - 1;
    assert!(last > 18, "{last}");
    for id in 1..last {
        assert_eq!(reach(dir.path(), id), if id % 8 == 0 { 0 } else { id + 1 }, "{id}");
    }
    assert_eq!(all(&store), records);
}

#[test]
fn what_would_gain_little_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    for lsn in 1..400_u64 {
        let image: Vec<u8> = (1..501_u64).map(|i| ((lsn * 1000 + i).wrapping_pow(5) >> 11) as u8).collect();
        store.append(head(Kind::After, 0, lsn, lsn), &[&image]).unwrap();
    }
    let records = all(&store);
    let last = seal_all_from(&store, 0) - 1;
    assert!((1..=last).all(|id| reach(dir.path(), id) == 0));
    let names =
        fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.ends_with(".tmp")));
    assert_eq!(all(&store), records);
}

#[test]
fn a_damaged_file_takes_those_with_it_that_lean_on_it_and_tells() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    fill(&store, 1..400);
    let records = all(&store);
    let last = seal_all_from(&store, 0) - 1;
    drop(store);
    let path = sealed(dir.path(), last);
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle - 40..middle + 40].fill(0x55);
    fs::write(&path, bytes).unwrap();
    let store = Store::open(dir.path(), &SMALL).unwrap();
    let mut refused = 0;
    for record in &records {
        match store.read(record.at) {
            Ok(read) => assert_eq!(&read, record),
            Err(error) => {
                assert_eq!(error.code(), Code::StoreDamaged);
                refused += u32::from(record.at.segment().get() < last);
            }
        }
    }
    assert!(refused > 0);
    drop(store);
    fs::write(&path, whole).unwrap();
    assert_eq!(read_from(&Store::open(dir.path(), &SMALL).unwrap(), Cursor::default()).unwrap(), records);
}
