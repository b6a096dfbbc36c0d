//! What tells one frame of a WAL, and all before it, from every other: salts and the running checksum.

/// The salts of one generation of the WAL, as the bytes that are in the file and in the wal-index.
pub(crate) type Salt = [u8; 8];

/// A running checksum. Each frame's continues the one before it, the first frame's that of the header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Checksum(pub(crate) u32, pub(crate) u32);

/// The order in which a checksum reads the bytes of its words; chosen by whoever created the WAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Checksum {
    /// Goes on over `bytes`; a rest of fewer than 8 bytes is left out (SQLite never has one).
    pub(crate) fn over(self, order: ByteOrder, bytes: &[u8]) -> Self {
        match order {
            ByteOrder::Little => self.words(bytes, u32::from_le_bytes),
            ByteOrder::Big => self.words(bytes, u32::from_be_bytes),
        }
    }

    fn words(self, bytes: &[u8], word: fn([u8; 4]) -> u32) -> Self {
        let Self(mut a, mut b) = self;
        for &[p, q, r, s, t, u, v, w] in bytes.as_chunks::<8>().0 {
            a = a.wrapping_add(word([p, q, r, s])).wrapping_add(b);
            b = b.wrapping_add(word([t, u, v, w])).wrapping_add(a);
        }
        Self(a, b)
    }

    /// As it stands in the file.
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.0) << 32 | u64::from(self.1)).to_be_bytes()
    }

    /// From the file.
    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
    }
}
