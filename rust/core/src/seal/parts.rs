//! What a sealed file is made of, past its hashes and one by one, for the fuzz target: header, digest, index, and what makes an
//! image of another one.

use super::difference::{self, Differences};
use super::digest::{self, Digest};
use super::frame::Packer;
use super::header::{FRONT, Header};
use super::index::{Index, is_image};
use super::moves::{self, Places};
use super::{columns, runs};

/// Bodies begin behind so many bytes of the file.
const FRONT_LEN: u64 = 100;

/// See [`parts`](crate::fuzzing::parts).
pub(crate) fn parts(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    match which % 7 {
        0 => header(bytes),
        1 => {
            // As they are: the hash is wrong, or there are too few.
            let _ = Digest::decode(bytes, 1 << 16);
            let _ = columns::decode(bytes, true, 0..1 << 16, 1 << 16);
        }
        2 => drop(forged_digest(bytes)),
        3 => drop(forged_index(bytes)),
        4 => made(bytes, |image, by| runs::apply(by, image)),
        5 => made(bytes, |image, by| moves::apply(by, image)),
        _ => {
            made(bytes, |image, by| difference::apply(by, image));
            differences(bytes);
        }
    }
}

fn header(bytes: &[u8]) {
    let Some(mut front) = bytes.first_chunk::<FRONT>().copied() else { return };
    for _ in 0..2 {
        if let Ok(header) = Header::decode(&front) {
            assert_eq!(header.encode(), front);
        }
        Header::forge_hash(&mut front);
    }
}

/// Counts and content as the bytes say, with the right hash.
fn forged_digest(bytes: &[u8]) -> Option<()> {
    let (&[summaries, records, low, high], plain) = bytes.split_first_chunk()?;
    let size = u64::from(u16::from_le_bytes([low, high])) * 8;
    let mut packer = Packer::new().ok()?;
    let mut counts = u32::from(summaries).to_le_bytes().to_vec();
    counts.extend(u32::from(records).to_le_bytes());
    let forged = digest::with_hash(counts, plain, &mut packer).ok()?;
    let digest = Digest::decode(&forged, size).ok()?;
    assert_eq!((digest.summaries.len(), digest.records.len()), (summaries.into(), records.into()));
    for summary in &digest.summaries {
        assert_eq!(digest.summary(summary.object), Some(summary));
    }
    for listed in &digest.records {
        assert!(digest.summary(listed.head.object).is_some() && !is_image(listed.head.kind));
        assert_eq!(digest.body(listed).len(), listed.len as usize);
    }
    assert!(digest.weight() >= digest.records.len());
    let again = digest.encode(&mut packer).ok()?;
    assert!(Digest::decode(&again, size).is_ok_and(|again| again == digest));
    Some(())
}

/// The same of an index.
fn forged_index(bytes: &[u8]) -> Option<()> {
    let (&[flags, frames, groups, records, reach, low, high, room], plain) = bytes.split_first_chunk()?;
    let size = u64::from(u16::from_le_bytes([low, high])) * 8;
    let bodies = FRONT_LEN..FRONT_LEN + u64::from(room) * 8;
    let newest_first = flags & 1 == 1;
    let mut packer = Packer::new().ok()?;
    let counts = [frames, groups, records, reach].map(|count| u32::from(count).to_le_bytes()).concat();
    let forged = columns::with_hash(counts, plain, &mut packer).ok()?;
    let index = columns::decode(&forged, newest_first, bodies.clone(), size).ok()?;
    consistent(&index, size);
    let again = columns::encode(&index, &mut packer).ok()?;
    let again = columns::decode(&again, newest_first, bodies, size);
    assert!(again.is_ok_and(|again| format!("{again:?}") == format!("{index:?}")));
    Some(())
}

fn consistent(index: &Index, size: u64) {
    let mut end = 0;
    let mut count = 0;
    for (head, offset, _, behind) in index.after(0) {
        assert!(offset >= end && u64::from(behind) <= size);
        let found = index.find(offset);
        assert!(found.is_some_and(|number| index.chain(number).contains(&number)));
        assert!(found.and_then(|number| index.frame_of(number)).is_some());
        if is_image(head.kind) {
            assert!(index.oldest(head.object.get(), head.key.get()).is_some());
        }
        (end, count) = (behind, count + 1);
    }
    assert_eq!(count, index.len());
    assert!(index.weight() >= index.len());
}

/// An image and what makes another one of it: any bytes make one as long, or nothing.
fn made(bytes: &[u8], apply: impl Fn(&mut Vec<u8>, &[u8]) -> Option<()>) {
    let Some((len, bytes)) = bytes.split_first() else { return };
    let (image, by) = bytes.split_at(usize::from(*len).min(bytes.len()));
    let mut made = image.to_vec();
    if apply(&mut made, by).is_some() {
        assert_eq!(made.len(), image.len());
    }
}

/// Of two images of one length: what each kind of difference says of them leads from one to the other.
fn differences(bytes: &[u8]) {
    let (old, new) = bytes.split_at(bytes.len() / 2);
    let new = new.get(..old.len()).unwrap_or_default();
    let (mut said, mut image) = (Vec::new(), old.to_vec());
    Differences::default().encode(old, new, &mut said);
    assert!(difference::apply(&said, &mut image).is_some() && image == new);
    let (mut said, mut image) = (Vec::new(), old.to_vec());
    runs::encode(old, new, &mut said);
    assert!(runs::apply(&said, &mut image).is_some() && image == new);
    let (mut said, mut image) = (Vec::new(), old.to_vec());
    if moves::encode(old, new, &mut Places::default(), usize::MAX, &mut said).is_some() {
        assert!(moves::apply(&said, &mut image).is_some() && image == new);
    }
}
