//! Random damage of a sealed file gives an error, or exactly what was sealed; never a panic, never another record.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::error::Code;
use crate::seal::columns;
use crate::seal::digest::Digest;
use crate::seal::frame::Packer;
use crate::seal::header::BadSeal;
use crate::seal::index::{CHAIN, Entry, Frame, Group, Index, StoredAs};

/// As a file that nobody has written: whatever was flipped, cut, moved or put in.
fn damaged(whole: &[u8], kind: u8, at: usize, with: u64) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let at = at % bytes.len();
    match kind {
        0 => bytes[at] ^= 1 << (with % 8),
        1 => bytes.truncate(at),
        2 => bytes[at..].iter_mut().take(1 + with as usize % 64).for_each(|byte| *byte = 0),
        3 => {
            let to = with as usize % bytes.len();
            bytes.swap(at, to);
        }
        4 => bytes.extend(with.to_le_bytes()),
        _ => {
            let until = (at + 1 + with as usize % 600).min(bytes.len());
            bytes.drain(at..until);
        }
    }
    bytes
}

fn rounds() -> u32 {
    std::env::var("DBREWIND_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(rounds()))]

    #[test]
    fn damage_is_an_error_or_changes_nothing(
        damages in proptest::collection::vec((0_u8..6, any::<usize>(), any::<u64>()), 1..3),
    ) {
        static WHOLE: std::sync::LazyLock<(Vec<u8>, Vec<Whole>)> = std::sync::LazyLock::new(|| {
            let dir = tempfile::tempdir().unwrap();
            let records = sample(60);
            seal(dir.path(), &records);
            (fs::read(dir.path().join(sealed_name(ID))).unwrap(), records)
        });
        let (whole, records) = &*WHOLE;
        let mut bytes = whole.clone();
        for (kind, at, with) in damages {
            if !bytes.is_empty() {
                bytes = damaged(&bytes, kind, at, with);
            }
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(sealed_name(ID)), bytes).unwrap();
        if let Ok(found) = unseal(dir.path()) {
            prop_assert_eq!(found, as_unsealed(records));
        }
    }

    /// Past all hashes: a forged index may say anything, and is refused or leads nowhere.
    #[test]
    fn a_forged_index_never_panics(
        counts in proptest::array::uniform3(0_u32..6),
        columns in proptest::collection::vec(prop_oneof![0_u8..9, any::<u8>()], 0..120),
        index_at in 80_u64..200,
    ) {
        let mut packed = Vec::new();
        Packer::new().unwrap().pack(&columns, &mut packed).unwrap();
        let mut bytes: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        bytes.extend([0; 4]);
        bytes.extend((columns.len() as u64).to_le_bytes());
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(&bytes);
        hasher.update(&packed);
        bytes.extend(hasher.digest().to_le_bytes());
        bytes.extend(packed);
        if let Ok(index) = columns::decode(&bytes, true, 80..index_at, 4096) {
            prop_assert_eq!(index.after(0).count(), index.len());
            for group in index.groups.iter().filter(|group| group.image) {
                let oldest = index.oldest(group.object, group.key);
                prop_assert!(oldest.is_some_and(|number| index.entry(number).is_some()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(rounds()))]

    /// Past all hashes: a forged digest may say anything, and is refused or has bodies for all that it lists.
    #[test]
    fn a_forged_digest_never_panics(
        counts in proptest::array::uniform2(prop_oneof![0_u32..4, any::<u32>()]),
        content in proptest::collection::vec(prop_oneof![0_u8..9, any::<u8>()], 0..120),
    ) {
        let mut bytes: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        bytes.extend((content.len() as u64).to_le_bytes());
        let mut packed = Vec::new();
        Packer::new().unwrap().pack(&content, &mut packed).unwrap();
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(&bytes);
        hasher.update(&packed);
        bytes.extend(hasher.digest().to_le_bytes());
        bytes.extend(packed);
        if let Ok(digest) = Digest::decode(&bytes, 4096) {
            prop_assert_eq!([digest.summaries.len() as u32, digest.records.len() as u32], counts);
            for listed in &digest.records {
                prop_assert_eq!(digest.body(listed).len(), listed.len as usize);
            }
        }
    }
}

#[test]
fn every_flipped_byte_of_a_small_file_is_noticed_but_in_the_seek_table() {
    let dir = tempfile::tempdir().unwrap();
    let records = sample(3);
    let path = dir.path().join(sealed_name(ID));
    seal(dir.path(), &records);
    let whole = fs::read(&path).unwrap();
    let table =
        whole.len() - 17 - 8 * (Sealed::open(dir.path(), ID, &STORE).unwrap().index().frames.len() + 3);
    let mut unnoticed = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        match unseal(dir.path()) {
            // zstd has bits that say nothing.
            Ok(found) if at < table => {
                assert_eq!(found, as_unsealed(&records), "byte {at}");
                unnoticed += 1;
            }
            Ok(_) => {}
            Err(_) => assert!(at < table, "byte {at} is for others only"),
        }
    }
    assert!(unnoticed <= 8, "{unnoticed} flipped bytes went unnoticed");
}

/// An index of so many images of one key, each but the first made of runs of so many bytes against the one before it.
fn chained(count: u32, stored: u32) -> Result<Index, BadSeal> {
    let entry = |number: u32| Entry {
        lsn: u64::from(count - number),
        group: 0,
        offset: 64 + number * 48,
        len: 8,
        start: 0,
        stored: if number == 0 { 8 } else { stored },
        kind: Kind::After,
        flags: 0,
        stored_as: if number == 0 { StoredAs::Whole } else { StoredAs::Next },
    };
    let plain = 8 + (count - 1) * stored;
    let frame = Frame { at: 80, packed: 20, plain, hash: 0, first: 0 };
    let group = Group { object: 0, image: true, key: 1, first: 0 };
    let entries = (0..count).map(entry).collect();
    let index = Index { frames: vec![frame], groups: vec![group], entries, ..Index::default() };
    let bytes = columns::encode(&index, &mut Packer::new().unwrap()).unwrap();
    columns::decode(&bytes, true, 80..100, 1 << 20)
}

#[test]
fn hazard_an_index_that_makes_a_body_of_endless_differences_is_refused() {
    assert!(chained(CHAIN, 0).is_ok());
    assert!(chained(CHAIN + 1, 0).is_err());
}

#[test]
fn hazard_an_index_that_unpacks_to_more_than_it_tells_is_refused() {
    assert!(chained(3, 8).is_ok());
    assert!(chained(3, 9).is_err());
}

#[test]
fn a_file_cut_shorter_while_it_is_open_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let records = sample(60);
    seal(dir.path(), &records);
    let sealed = Sealed::open(dir.path(), ID, &STORE).unwrap();
    fs::OpenOptions::new().write(true).open(dir.path().join(sealed_name(ID))).unwrap().set_len(200).unwrap();
    let read = sealed.read(records.last().unwrap().0.offset, &Alone::default(), &mut Vec::new());
    assert_eq!(read.unwrap_err().code(), Code::StoreDamaged);
}
