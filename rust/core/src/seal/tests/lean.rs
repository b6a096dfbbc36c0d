//! Files whose bodies are made of images in others.

use std::fs;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::*;
use crate::error::Code;
use crate::seal::columns::{HEAD, stamp};
use crate::seal::header::{FRONT, Header, SKIPPED};
use crate::seal::index::{StoredAs, farthest};

/// The files of a folder.
pub(super) struct Folder {
    dir: std::path::PathBuf,
    frames: Frames,
}

impl Folder {
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf(), frames: Frames::default() }
    }
}

impl Others for Folder {
    fn frames(&self) -> &Frames {
        &self.frames
    }

    fn oldest(&self, id: u32, key: (u32, u64), out: &mut Vec<u8>) -> Result<bool, ReadError> {
        Sealed::open(&self.dir, id, &STORE)?.oldest(key, self, out)
    }
}

/// The same keys in two segments; how many bodies of the first one lean.
fn two(dir: &Path) -> (Vec<Whole>, usize) {
    let records = sample(60);
    let behind = sample(75).split_off(records.len());
    seal_as(dir, ID + 1, &behind, None);
    seal_as(dir, ID, &records, Some(ID + 1));
    let sealed = Sealed::open(dir, ID, &STORE).unwrap();
    let leaning = sealed.index().entries.iter().filter(|it| it.stored_as == StoredAs::Leaning).count();
    (records, leaning)
}

#[test]
fn a_file_that_leans_says_the_same_and_is_smaller() {
    let dir = tempfile::tempdir().unwrap();
    let (records, leaning) = two(dir.path());
    assert!(leaning > 10, "{leaning} bodies");
    assert_eq!(unseal_with(dir.path(), &Folder::of(dir.path())).unwrap(), as_unsealed(&records));
    let alone = tempfile::tempdir().unwrap();
    let (leans, stands) =
        (fs::metadata(dir.path().join(sealed_name(ID))).unwrap().len(), seal(alone.path(), &records));
    assert!(leans < stands, "{leans} and {stands}");
}

#[test]
fn hazard_what_a_file_leans_on_is_another_one_or_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = two(dir.path());
    let under = dir.path().join(sealed_name(ID + 1));
    let damaged = || match unseal_with(dir.path(), &Folder::of(dir.path())).unwrap_err() {
        Refused::Read(error) => error.code(),
        other => panic!("{other:?}"),
    };
    fs::rename(&under, dir.path().join("gone")).unwrap();
    assert_eq!(damaged(), Code::StoreDamaged);
    // Without the keys; with bodies of another length.
    for others in [
        log([(head(Kind::After, 0, 99, 5), vec![1; 1024])]),
        { log((1..=40).map(|key| (head(Kind::After, 0, key, 5), vec![1; 1000]))) },
        {
            // As of another history of the same store.
            log((1..=40).map(|key| (head(Kind::After, 0, key, 5), vec![1; 1024])))
        },
    ] {
        seal_as(dir.path(), ID + 1, &others, None);
        assert_eq!(damaged(), Code::StoreDamaged);
        fs::remove_file(&under).unwrap();
    }
    fs::rename(dir.path().join("gone"), &under).unwrap();
    assert_eq!(unseal_with(dir.path(), &Folder::of(dir.path())).unwrap(), as_unsealed(&records));
}

#[test]
fn any_flipped_byte_of_what_a_file_leans_on_is_noticed_or_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = two(dir.path());
    let under = dir.path().join(sealed_name(ID + 1));
    let whole = fs::read(&under).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&under, bytes).unwrap();
        match unseal_with(dir.path(), &Folder::of(dir.path())) {
            Ok(found) => assert_eq!(found, as_unsealed(&records), "byte {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "{refused}");
}

/// Changes which segments a file says that it leans on, past all hashes.
fn reach(dir: &Path, to: u32, version: Option<u32>) {
    let path = dir.join(sealed_name(ID));
    let mut bytes = fs::read(&path).unwrap();
    let mut header = Header::decode(bytes.first_chunk::<FRONT>().unwrap()).unwrap();
    let at = header.index_at as usize;
    let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    let index = &mut bytes[at + SKIPPED..][..len];
    index[12..16].copy_from_slice(&to.to_le_bytes());
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(&index[..HEAD - 8]);
    hasher.update(&index[HEAD..]);
    let hash = hasher.digest();
    index[HEAD - 8..HEAD].copy_from_slice(&hash.to_le_bytes());
    assert_eq!(stamp(index), hash);
    header.version = version.unwrap_or(header.version);
    bytes[..FRONT].copy_from_slice(&header.encode());
    fs::File::options().write(true).open(path).unwrap().write_all_at(&bytes, 0).unwrap();
}

#[test]
fn hazard_a_file_that_leans_on_itself_on_older_ones_or_too_far_is_refused() {
    assert_eq!((farthest(ID), farthest(8), farthest(9), farthest(u32::MAX)), (8, 8, 16, u32::MAX));
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = two(dir.path());
    for wrong in [1, ID - 1, ID, 9, u32::MAX] {
        reach(dir.path(), wrong, None);
        assert!(matches!(Sealed::open(dir.path(), ID, &STORE), Err(OpenError::Damaged { .. })), "{wrong}");
    }
    // Bodies that lean, and nothing to lean on.
    reach(dir.path(), 0, None);
    assert!(Sealed::open(dir.path(), ID, &STORE).is_err());
    // Files of older versions stand alone.
    reach(dir.path(), ID + 1, Some(2));
    assert!(Sealed::open(dir.path(), ID, &STORE).is_err());
    reach(dir.path(), ID + 1, Some(3));
    assert_eq!(unseal_with(dir.path(), &Folder::of(dir.path())).unwrap(), as_unsealed(&records));
}

#[test]
fn a_key_that_fills_several_frames_leans_in_each() {
    let noise =
        |seed: u64| -> Vec<u8> { (1..3001_u64).map(|i| ((seed + i).wrapping_pow(5) >> 11) as u8).collect() };
    let dir = tempfile::tempdir().unwrap();
    let of = |seed, lsn: u64| (head(Kind::After, 1, 5, lsn), noise(seed));
    seal_as(dir.path(), ID + 1, &log([of(3, 900), of(4, 901)]), None);
    // Far from one another, one in ten near to what is behind.
    let records = log((1..200).map(|lsn| match lsn % 10 {
        0 => {
            let (head, mut body) = of(3, lsn);
            body[lsn as usize] ^= 1;
            (head, body)
        }
        _ => of(lsn * 5000, lsn),
    }));
    seal_as(dir.path(), ID, &records, Some(ID + 1));
    assert_eq!(unseal_with(dir.path(), &Folder::of(dir.path())).unwrap(), as_unsealed(&records));
}

proptest! {
    #[test]
    fn any_records_come_back_through_three_files(
        records in proptest::collection::vec(
            (1_u8..=12, 0_u32..2, 0_u64..5, prop_oneof![0_u64..50, any::<u64>()],
             proptest::collection::vec(0_u8..2, 0..6), 0_usize..3),
            0..240,
        ),
    ) {
        let mut thirds: [Vec<(Head, Vec<u8>)>; 3] = Default::default();
        for (kind, object, key, lsn, bytes, third) in records {
            let mut body = vec![7; 100 * (key % 2) as usize + 60];
            body.splice(10..10 + bytes.len(), bytes);
            thirds[third].push((head(Kind::from_raw(kind).unwrap(), object, key, lsn), body));
        }
        let dir = tempfile::tempdir().unwrap();
        let [first, second, third] = thirds.map(log);
        seal_as(dir.path(), ID + 2, &third, None);
        seal_as(dir.path(), ID + 1, &second, Some(ID + 2));
        seal_as(dir.path(), ID, &first, Some(ID + 2));
        prop_assert_eq!(unseal_with(dir.path(), &Folder::of(dir.path())).unwrap(), as_unsealed(&first));
    }
}
