//! The first frame of a sealed file, which zstd skips, and the seek table, which is its last one.

use xxhash_rust::xxh3::xxh3_64;

use crate::format::bytes::{id_at, put, u32_at, u64_at};

/// Version of the layout that this program writes, the newest that it reads.
pub(crate) const VERSION: u32 = 3;
/// The oldest version, which is read too: without a digest.
const PLAIN: u32 = 1;
/// From this version on bodies are made of newer ones.
const NEWEST_FIRST: u32 = 3;
/// What stands before the content of a frame that zstd skips: its magic and its length.
pub(super) const SKIPPED: usize = 8;
/// The index's frame.
pub(super) const INDEX_MAGIC: u32 = 0x184D_2A51;
/// The digest's, behind the header.
pub(super) const DIGEST_MAGIC: u32 = 0x184D_2A52;
/// Bytes at the beginning of the file: the header as a frame that zstd skips.
pub(super) const FRONT: usize = SKIPPED + LEN;
/// Bytes of a seek table without frames.
pub(super) const EMPTY_TABLE: usize = SKIPPED + 9;

const HEADER_MAGIC: u32 = 0x184D_2A50;
const TABLE_MAGIC: u32 = 0x184D_2A5E;
const SEEKABLE: u32 = 0x8F92_EAB1;
const MAGIC: [u8; 8] = *b"dbrwzst\x01";
const LEN: usize = 72;

// Offsets in the file.
const VERSION_AT: usize = SKIPPED + 8;
const LENGTH: usize = VERSION_AT + 4;
const STORE: usize = LENGTH + 4;
const ID: usize = STORE + 16;
const SIZE: usize = ID + 8;
const INDEX: usize = SIZE + 8;
const FILE: usize = INDEX + 8;
const HASH: usize = FILE + 8;

const _: () = assert!(HASH + 8 == FRONT && HASH - SKIPPED == 64);

/// What a sealed file says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Version of the layout.
    pub(crate) version: u32,
    /// The store it belongs to.
    pub(crate) store: [u8; 16],
    /// The segment's position in the log.
    pub(crate) id: u64,
    /// The segment's length before it was sealed, in bytes.
    pub(crate) size: u64,
    /// Where the index's frame begins.
    pub(crate) index_at: u64,
    /// Length of the file.
    pub(crate) file_len: u64,
}

/// Why bytes are not a sealed segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadSeal {
    /// Another version of the layout.
    Version(u32),
    /// What is wrong; follows the file's name.
    Malformed(&'static str),
}

impl Header {
    /// Whether a digest follows it.
    pub(super) fn has_digest(&self) -> bool {
        self.version != PLAIN
    }

    /// Whether bodies are made of newer ones, and may be of those in other files.
    pub(super) fn is_newest_first(&self) -> bool {
        self.version >= NEWEST_FIRST
    }

    /// The frame's bytes.
    pub(super) fn encode(&self) -> [u8; FRONT] {
        let mut bytes = [0; FRONT];
        put(&mut bytes, 0, &skipped(HEADER_MAGIC, LEN as u32));
        put(&mut bytes, SKIPPED, &MAGIC);
        put(&mut bytes, VERSION_AT, &self.version.to_le_bytes());
        put(&mut bytes, LENGTH, &(LEN as u32).to_le_bytes());
        put(&mut bytes, STORE, &self.store);
        put(&mut bytes, ID, &self.id.to_le_bytes());
        put(&mut bytes, SIZE, &self.size.to_le_bytes());
        put(&mut bytes, INDEX, &self.index_at.to_le_bytes());
        put(&mut bytes, FILE, &self.file_len.to_le_bytes());
        let hash = bytes.get(SKIPPED..HASH).map_or(0, xxh3_64);
        put(&mut bytes, HASH, &hash.to_le_bytes());
        bytes
    }

    /// Gives it the right hash, whatever it says.
    #[cfg(feature = "fuzzing")]
    pub(super) fn forge_hash(bytes: &mut [u8; FRONT]) {
        let hash = bytes.get(SKIPPED..HASH).map_or(0, xxh3_64);
        put(bytes, HASH, &hash.to_le_bytes());
    }

    /// Reads the frame.
    pub(super) fn decode(bytes: &[u8; FRONT]) -> Result<Self, BadSeal> {
        let malformed = BadSeal::Malformed;
        if bytes.get(..SKIPPED) != Some(&skipped(HEADER_MAGIC, LEN as u32))
            || bytes.get(SKIPPED..VERSION_AT) != Some(&MAGIC)
        {
            return Err(malformed("does not begin as a sealed segment"));
        }
        let short = malformed("has too short a header");
        let version = u32_at(bytes, VERSION_AT).ok_or(short)?;
        if !(PLAIN..=VERSION).contains(&version) {
            return Err(BadSeal::Version(version));
        }
        if u64_at(bytes, HASH) != bytes.get(SKIPPED..HASH).map(xxh3_64) {
            return Err(malformed("has a header that does not match its hash"));
        }
        if u32_at(bytes, LENGTH) != Some(LEN as u32) {
            return Err(malformed("has a header of another layout"));
        }
        Ok(Self {
            version,
            store: id_at(bytes, STORE).ok_or(short)?,
            id: u64_at(bytes, ID).ok_or(short)?,
            size: u64_at(bytes, SIZE).ok_or(short)?,
            index_at: u64_at(bytes, INDEX).ok_or(short)?,
            file_len: u64_at(bytes, FILE).ok_or(short)?,
        })
    }
}

/// The beginning of a frame that zstd skips.
pub(super) fn skipped(magic: u32, len: u32) -> [u8; SKIPPED] {
    let mut bytes = [0; SKIPPED];
    put(&mut bytes, 0, &magic.to_le_bytes());
    put(&mut bytes, 4, &len.to_le_bytes());
    bytes
}

/// The public seek table over frames: the length of each in the file, and of its content.
pub(super) fn seek_table(frames: &[(u32, u32)]) -> Vec<u8> {
    let content = frames.len() * 8 + 9;
    let mut bytes = Vec::with_capacity(SKIPPED + content);
    bytes.extend(skipped(TABLE_MAGIC, u32::try_from(content).unwrap_or(u32::MAX)));
    for (packed, plain) in frames {
        bytes.extend(packed.to_le_bytes());
        bytes.extend(plain.to_le_bytes());
    }
    bytes.extend(u32::try_from(frames.len()).unwrap_or(u32::MAX).to_le_bytes());
    // No checksums: every frame has its own.
    bytes.push(0);
    bytes.extend(SEEKABLE.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { version: VERSION, store: [7; 16], id: 3, size: 1 << 22, index_at: 900, file_len: 1000 };

    #[test]
    fn headers_round_trip_and_any_flipped_byte_is_refused() {
        for version in [PLAIN, 2, VERSION] {
            let header = Header { version, ..HEADER };
            assert_eq!(Header::decode(&header.encode()), Ok(header));
        }
        for at in 0..FRONT {
            let mut bytes = HEADER.encode();
            bytes[at] ^= 4;
            assert!(Header::decode(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = HEADER.encode();
        for version in [0, 4] {
            bytes[VERSION_AT] = version;
            assert_eq!(Header::decode(&bytes), Err(BadSeal::Version(u32::from(version))));
        }
    }

    #[test]
    fn an_empty_table_is_a_frame_and_a_footer() {
        let table = seek_table(&[]);
        assert_eq!(table.len(), EMPTY_TABLE);
        assert_eq!(table[..8], [0x5e, 0x2a, 0x4d, 0x18, 9, 0, 0, 0]);
        assert_eq!(table[8..], [0, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f]);
    }
}
