//! The first 64 bytes of a segment.

use xxhash_rust::xxh3::xxh3_64;

use crate::format::bytes::{id_at, put, u32_at, u64_at};

/// Length of the header; the first record follows.
pub(crate) const HEADER_LEN: usize = 64;
/// Version of the format this program reads and writes.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"dbrwseg\x01";
const VERSION_AT: usize = 8;
const LENGTH: usize = 12;
const STORE: usize = 16;
const ID: usize = 32;
const SIZE: usize = 40;
const RESERVED: usize = 48;
const HASH: usize = 56;

const _: () = assert!(VERSION_AT == MAGIC.len() && LENGTH == VERSION_AT + 4 && STORE == LENGTH + 4);
const _: () = assert!(ID == STORE + 16 && SIZE == ID + 8 && RESERVED == SIZE + 8);
const _: () = assert!(HASH == RESERVED + 8 && HASH + 8 == HEADER_LEN);

/// What a segment says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    /// The store it belongs to.
    pub(crate) store: [u8; 16],
    /// Its position in the log.
    pub(crate) id: u64,
    /// Its length, in bytes.
    pub(crate) size: u64,
}

/// Why a header is not one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NotASegment {
    /// Another format version.
    Version(u32),
    /// What is wrong.
    Malformed(&'static str),
}

impl SegmentHeader {
    /// The header's bytes.
    #[must_use]
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, VERSION_AT, &VERSION.to_le_bytes());
        put(&mut bytes, LENGTH, &(HEADER_LEN as u32).to_le_bytes());
        put(&mut bytes, STORE, &self.store);
        put(&mut bytes, ID, &self.id.to_le_bytes());
        put(&mut bytes, SIZE, &self.size.to_le_bytes());
        let hash = bytes.get(..HASH).map_or(0, xxh3_64);
        put(&mut bytes, HASH, &hash.to_le_bytes());
        bytes
    }

    /// Reads a header.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, NotASegment> {
        let malformed = NotASegment::Malformed;
        if bytes.get(..VERSION_AT) != Some(&MAGIC) {
            return Err(malformed("does not begin as a segment"));
        }
        let version = u32_at(bytes, VERSION_AT).unwrap_or(0);
        if version != VERSION {
            return Err(NotASegment::Version(version));
        }
        if u64_at(bytes, HASH) != bytes.get(..HASH).map(xxh3_64) {
            return Err(malformed("has a header that does not match its hash"));
        }
        if u32_at(bytes, LENGTH) != Some(HEADER_LEN as u32) || u64_at(bytes, RESERVED) != Some(0) {
            return Err(malformed("has a header of another layout"));
        }
        let field = |found: Option<u64>| found.ok_or(malformed("has too short a header"));
        Ok(Self {
            store: id_at(bytes, STORE).ok_or(malformed("has too short a header"))?,
            id: field(u64_at(bytes, ID))?,
            size: field(u64_at(bytes, SIZE))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader { store: [7; 16], id: 3, size: 1 << 22 };

    #[test]
    fn headers_round_trip() {
        assert_eq!(SegmentHeader::decode(&HEADER.encode()), Ok(HEADER));
    }

    #[test]
    fn any_flipped_byte_is_refused() {
        for at in 0..HEADER_LEN {
            let mut bytes = HEADER.encode();
            bytes[at] ^= 4;
            assert!(SegmentHeader::decode(&bytes).is_err(), "byte {at}");
        }
    }
}
