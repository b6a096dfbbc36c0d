//! Header and frame header of a `-wal` file.

use crate::checksum::{ByteOrder, Checksum, Salt};
fn join(first: [u8; 4], second: [u8; 4]) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (first, second);
    [a, b, c, d, e, f, g, h]
}

/// The 32 bytes a WAL begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WalHeader {
    /// Of the checksums.
    pub(crate) order: ByteOrder,
    /// In bytes.
    pub(crate) page_size: u32,
    /// How often the WAL was restarted.
    pub(crate) sequence: u32,
    /// Of this generation.
    pub(crate) salt: Salt,
}

impl WalHeader {
    /// Its length in bytes.
    pub(crate) const LEN: usize = 32;
    /// Up to its checksum: all that it says.
    pub(crate) const SAYS: usize = 24;
    const MAGIC: u32 = 0x377f_0682;
    const VERSION: u32 = 3_007_000;

    /// The bytes, and the checksum that seeds the first frame's.
    pub(crate) fn encode(&self) -> ([u8; Self::LEN], Checksum) {
        let magic = Self::MAGIC | u32::from(self.order == ByteOrder::Big);
        let mut head = Vec::with_capacity(Self::LEN);
        for word in [magic, Self::VERSION, self.page_size, self.sequence] {
            head.extend_from_slice(&word.to_be_bytes());
        }
        head.extend_from_slice(&self.salt);
        let checksum = Checksum::default().over(self.order, &head);
        head.extend_from_slice(&checksum.to_bytes());
        let mut out = [0; Self::LEN];
        for (to, from) in out.iter_mut().zip(head) {
            *to = from;
        }
        (out, checksum)
    }

    /// The salts of a header that lacks its checksum. `None`: not one.
    pub(crate) fn salt_of(bytes: &[u8; Self::SAYS]) -> Option<Salt> {
        let mut whole = [0; Self::LEN];
        let (said, checksum) = whole.split_at_mut(Self::SAYS);
        said.copy_from_slice(bytes);
        let order = if said.get(3)? & 1 == 1 { ByteOrder::Big } else { ByteOrder::Little };
        checksum.copy_from_slice(&Checksum::default().over(order, said).to_bytes());
        Self::decode(&whole).map(|(header, _)| header.salt)
    }

    /// Reads a header. `None`: not one, or its checksum is wrong.
    pub(crate) fn decode(bytes: &[u8; Self::LEN]) -> Option<(Self, Checksum)> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| words.get(at).copied().map(u32::from_be_bytes);
        let magic = word(0)?;
        if magic & !1 != Self::MAGIC || word(1)? != Self::VERSION {
            return None;
        }
        let order = if magic & 1 == 1 { ByteOrder::Big } else { ByteOrder::Little };
        let header = Self {
            order,
            page_size: word(2)?,
            sequence: word(3)?,
            salt: join(*words.get(4)?, *words.get(5)?),
        };
        let checksum = Checksum::default().over(order, bytes.get(..24)?);
        (checksum == Checksum(word(6)?, word(7)?)).then_some((header, checksum))
    }
}

/// The 24 bytes before each page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameHeader {
    /// Which page, from 1.
    pub(crate) page: u32,
    /// In the last frame of a transaction: length of the database after it, in pages. Else 0.
    pub(crate) commit: u32,
    /// Of the generation it belongs to.
    pub(crate) salt: Salt,
    /// Over everything up to and including this frame.
    pub(crate) checksum: Checksum,
}

impl FrameHeader {
    /// Its length in bytes.
    pub(crate) const LEN: usize = 24;

    /// Reads a frame header. `None`: fewer than 24 bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (chunks, _) = bytes.get(..Self::LEN)?.as_chunks::<8>();
        let Checksum(page, commit) = Checksum::from_bytes(*chunks.first()?);
        Some(Self { page, commit, salt: *chunks.get(1)?, checksum: Checksum::from_bytes(*chunks.get(2)?) })
    }

    /// The checksum of a whole frame that continues after `before`; what it says of itself is not looked at.
    pub(crate) fn checksum_of(order: ByteOrder, before: Checksum, frame: &[u8]) -> Checksum {
        let (start, image) = (frame.get(..8).unwrap_or_default(), frame.get(Self::LEN..).unwrap_or_default());
        before.over(order, start).over(order, image)
    }

    /// Appends a whole frame, header and page, that continues after `before`; returns its checksum.
    pub(crate) fn append_frame(
        out: &mut Vec<u8>,
        order: ByteOrder,
        before: Checksum,
        salt: Salt,
        (page, commit): (u32, u32),
        image: &[u8],
    ) -> Checksum {
        let start = join(page.to_be_bytes(), commit.to_be_bytes());
        let checksum = before.over(order, &start).over(order, image);
        out.extend_from_slice(&start);
        out.extend_from_slice(&salt);
        out.extend_from_slice(&checksum.to_bytes());
        out.extend_from_slice(image);
        checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trips_in_both_orders() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let header = WalHeader { order, page_size: 65_536, sequence: 7, salt: *b"saltsalt" };
            let (bytes, checksum) = header.encode();
            assert_eq!(WalHeader::decode(&bytes), Some((header, checksum)));
            let mut said = *bytes.first_chunk::<{ WalHeader::SAYS }>().unwrap();
            assert_eq!(WalHeader::salt_of(&said), Some(*b"saltsalt"));
            said[0] ^= 1;
            assert_eq!(WalHeader::salt_of(&said), None);
            for at in 0..WalHeader::LEN {
                let mut bad = bytes;
                bad[at] ^= 1;
                assert_eq!(WalHeader::decode(&bad), None, "byte {at}");
            }
        }
    }

    #[test]
    fn frame_round_trips_and_continues_the_sum() {
        let image = [5; 512];
        let mut out = Vec::new();
        let seed = Checksum(1, 2);
        let sum = FrameHeader::append_frame(&mut out, ByteOrder::Big, seed, *b"SALTsalt", (3, 9), &image);
        let read = FrameHeader::decode(&out).unwrap();
        assert_eq!(read, FrameHeader { page: 3, commit: 9, salt: *b"SALTsalt", checksum: sum });
        assert_eq!(sum, seed.over(ByteOrder::Big, &out[..8]).over(ByteOrder::Big, &image));
        assert_ne!(sum, seed.over(ByteOrder::Little, &out[..8]).over(ByteOrder::Little, &image));
        assert_eq!(FrameHeader::checksum_of(ByteOrder::Big, seed, &out), sum);
        assert_eq!(FrameHeader::decode(&out[..23]), None);
    }
}
