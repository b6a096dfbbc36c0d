//! A record's header after its word, and its hash.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::format::bytes::{put, u16_at, u32_at, u64_at};
use crate::format::{HEADER, Head, Kind, Place};
use crate::types::{Key, Lsn, ObjectId};

const WORD: usize = 8;
/// Bytes 8..32 of a record: what it says.
pub(crate) const FIELDS: usize = 24;
/// Bytes 8..40 of a record: what it says, and the hash.
pub(crate) const REST: usize = 32;

const KIND: usize = 8 - WORD;
const FLAGS: usize = 9 - WORD;
const RESERVED: usize = 10 - WORD;
const OBJECT: usize = 12 - WORD;
const KEY: usize = 16 - WORD;
const LSN: usize = 24 - WORD;
const HASH: usize = 32 - WORD;

const _: () = assert!(LSN + 8 == FIELDS && HASH == FIELDS && HASH + 8 == REST);
const _: () = assert!(WORD + REST == HEADER as usize);

/// Why a header is not one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotARecord {
    /// A kind this version does not know.
    Kind(u8),
    /// Reserved bytes are not zero, or there are too few bytes.
    Malformed,
}

/// Writes the fields; the hash is still zero.
#[must_use]
pub(crate) fn encode(head: &Head) -> [u8; REST] {
    let mut rest = [0; REST];
    put(&mut rest, KIND, &[head.kind as u8, head.flags]);
    put(&mut rest, OBJECT, &head.object.get().to_le_bytes());
    put(&mut rest, KEY, &head.key.get().to_le_bytes());
    put(&mut rest, LSN, &head.lsn.get().to_le_bytes());
    rest
}

/// Writes the hash.
pub(crate) fn seal(rest: &mut [u8; REST], place: Place, len: u32, body_hash: u64) {
    let hash = hash(rest, place, len, body_hash);
    put(rest, HASH, &hash.to_le_bytes());
}

/// Reads the fields.
pub(crate) fn decode(rest: &[u8; REST]) -> Result<Head, NotARecord> {
    let raw = rest.get(KIND).copied().ok_or(NotARecord::Malformed)?;
    let kind = Kind::from_raw(raw).ok_or(NotARecord::Kind(raw))?;
    if u16_at(rest, RESERVED) != Some(0) {
        return Err(NotARecord::Malformed);
    }
    Ok(Head {
        kind,
        flags: rest.get(FLAGS).copied().ok_or(NotARecord::Malformed)?,
        object: ObjectId::new(u32_at(rest, OBJECT).ok_or(NotARecord::Malformed)?),
        key: Key::new(u64_at(rest, KEY).ok_or(NotARecord::Malformed)?),
        lsn: Lsn::new(u64_at(rest, LSN).ok_or(NotARecord::Malformed)?),
    })
}

/// Whether fields, place, length and body are those the hash was made of.
#[must_use]
pub(crate) fn intact(rest: &[u8; REST], place: Place, len: u32, body: &[u8]) -> bool {
    u64_at(rest, HASH) == Some(hash(rest, place, len, xxh3_64(body)))
}

fn hash(rest: &[u8; REST], place: Place, len: u32, body_hash: u64) -> u64 {
    let mut input = [0; FIELDS + 24];
    if let Some(fields) = rest.get(..FIELDS) {
        put(&mut input, 0, fields);
    }
    put(&mut input, FIELDS, &u64::from(place.segment).to_le_bytes());
    put(&mut input, FIELDS + 8, &place.offset.to_le_bytes());
    put(&mut input, FIELDS + 12, &len.to_le_bytes());
    put(&mut input, FIELDS + 16, &body_hash.to_le_bytes());
    xxh3_64(&input)
}

/// Up to this length a body in several parts is put together on the stack: setting up the
/// incremental hash takes longer.
const GATHER: usize = 256;

/// Hash of a body that is given in parts.
#[must_use]
pub(crate) fn body_hash(parts: &[&[u8]], len: usize) -> u64 {
    match parts {
        [] => xxh3_64(&[]),
        [whole] => xxh3_64(whole),
        parts if len <= GATHER => {
            let mut whole = [0; GATHER];
            let mut at = 0;
            for part in parts {
                put(&mut whole, at, part);
                at += part.len();
            }
            xxh3_64(whole.get(..len).unwrap_or(&whole))
        }
        parts => {
            let mut hasher = Xxh3::new();
            for part in parts {
                hasher.update(part);
            }
            hasher.digest()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place { segment: 2, offset: 640 };

    fn head() -> Head {
        Head {
            kind: Kind::After,
            flags: 0x5a,
            object: ObjectId::new(7),
            key: Key::new(0x0102_0304_0506_0708),
            lsn: Lsn::new(u64::MAX - 1),
        }
    }

    #[test]
    fn fields_round_trip() {
        assert_eq!(decode(&encode(&head())), Ok(head()));
    }

    #[test]
    fn layout_is_the_documented_one() {
        let rest = encode(&head());
        assert_eq!(rest[0], 2);
        assert_eq!(rest[1], 0x5a);
        assert_eq!(rest[4..8], [7, 0, 0, 0]);
        assert_eq!(rest[8..16], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(rest[16], 0xfe);
    }

    #[test]
    fn any_flipped_byte_is_noticed() {
        let body = b"some body";
        let mut rest = encode(&head());
        let len = body.len() as u32;
        seal(&mut rest, PLACE, len, xxh3_64(body));
        assert!(intact(&rest, PLACE, len, body));
        for at in 0..REST {
            let mut flipped = rest;
            flipped[at] ^= 1;
            assert!(!intact(&flipped, PLACE, len, body), "byte {at}");
        }
        for at in 0..body.len() {
            let mut flipped = *body;
            flipped[at] ^= 0x80;
            assert!(!intact(&rest, PLACE, len, &flipped), "body byte {at}");
        }
        assert!(!intact(&rest, Place { segment: 3, ..PLACE }, len, body));
        assert!(!intact(&rest, Place { offset: 648, ..PLACE }, len, body));
        assert!(!intact(&rest, PLACE, len + 1, body));
    }

    #[test]
    fn unknown_kinds_and_reserved_bytes_are_refused() {
        let mut rest = encode(&head());
        rest[0] = 200;
        assert_eq!(decode(&rest), Err(NotARecord::Kind(200)));
        let mut rest = encode(&head());
        rest[3] = 1;
        assert_eq!(decode(&rest), Err(NotARecord::Malformed));
    }

    proptest! {
        #[test]
        fn parts_do_not_matter(body in proptest::collection::vec(any::<u8>(), 0..2000), cut in any::<prop::sample::Index>()) {
            let at = cut.index(body.len() + 1);
            let (left, right) = body.split_at(at);
            prop_assert_eq!(body_hash(&[left, right], body.len()), xxh3_64(&body));
            prop_assert_eq!(body_hash(&[&body], body.len()), xxh3_64(&body));
        }
    }
}
