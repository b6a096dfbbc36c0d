//! Bodies of the NOTE records that this engine writes (`format.md`, "What the SQLite adapter writes").

use super::header::{Checksum, Salt};

/// NOTE tag of a run.
pub(crate) const RUN: u64 = 1;
/// NOTE tag of an anchor.
pub(crate) const ANCHOR: u64 = 2;
/// NOTE tag of a rewind's intent.
pub(crate) const INTENT: u64 = 3;

/// Takes little-endian fields off the front of a body.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn checksum(&mut self) -> Option<Checksum> {
        Some(Checksum(self.u32()?, self.u32()?))
    }

    fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn put_checksum(out: &mut Vec<u8>, sum: Checksum) {
    out.extend_from_slice(&sum.0.to_le_bytes());
    out.extend_from_slice(&sum.1.to_le_bytes());
}

/// Tag 1: from this frame on, frame numbers and LSNs advance together. The record's LSN is the frame's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RunNote {
    /// The frame at the record's LSN; 0: the state below the whole WAL.
    pub(crate) frame: u32,
    /// Of the generation.
    pub(crate) salt: Salt,
    /// Of that frame.
    pub(crate) checksum: Checksum,
    /// The generation's number.
    pub(crate) sequence: u32,
    /// Frames that were in the database file.
    pub(crate) back_filled: u32,
}

impl RunNote {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.extend_from_slice(&self.frame.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.salt);
        put_checksum(&mut out, self.checksum);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.back_filled.to_le_bytes());
        out
    }

    /// A number that tells this run, beginning at this LSN, from every other: what the register holds.
    pub(crate) fn stamp(&self, lsn: u64) -> u64 {
        let mut bytes = self.encode();
        // A back-fill does not make it another run.
        bytes.truncate(24);
        xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, lsn).max(1)
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let (frame, _reserved) = (fields.u32()?, fields.u32()?);
        let note = Self {
            frame,
            salt: fields.array()?,
            checksum: fields.checksum()?,
            sequence: fields.u32()?,
            back_filled: fields.u32()?,
        };
        fields.end()?;
        Some(note)
    }
}

/// What the file system says about a file, as far as it tells one state of it from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileState {
    /// Device.
    pub(crate) device: u64,
    /// Inode.
    pub(crate) inode: u64,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Last change of content, ns since 1970.
    pub(crate) modified: u64,
    /// Last change of anything, ns since 1970.
    pub(crate) changed: u64,
}

/// Tag 2: what the database looked like when we last knew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AnchorNote {
    /// The database file.
    pub(crate) file: FileState,
    /// Of the WAL's generation.
    pub(crate) salt: Salt,
    /// A frame that is in the store.
    pub(crate) frame: u32,
    /// Its checksum, which sums up all frames before it.
    pub(crate) checksum: Checksum,
    /// Frames in the database file.
    pub(crate) back_filled: u32,
    /// Frames that may be in the database file, in part: as many or more.
    pub(crate) attempted: u32,
    /// The change counter in page 1.
    pub(crate) counter: u32,
    /// A back-fill up to `attempted` was about to begin: nothing is said of the file's length and times.
    pub(crate) under_way: bool,
    /// The times were old enough for any later write to change them.
    pub(crate) settled: bool,
    /// The database file holds everything.
    pub(crate) all_back_filled: bool,
}

impl AnchorNote {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        let FileState { device, inode, size, modified, changed } = self.file;
        for word in [device, inode, size, modified, changed] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.frame.to_le_bytes());
        put_checksum(&mut out, self.checksum);
        let flags =
            u32::from(self.settled) | u32::from(self.all_back_filled) << 1 | u32::from(self.under_way) << 2;
        for word in [self.back_filled, self.attempted, self.counter, flags] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let file = FileState {
            device: fields.u64()?,
            inode: fields.u64()?,
            size: fields.u64()?,
            modified: fields.u64()?,
            changed: fields.u64()?,
        };
        let (salt, frame, checksum) = (fields.array()?, fields.u32()?, fields.checksum()?);
        let (back_filled, attempted) = (fields.u32()?, fields.u32()?);
        let (counter, flags) = (fields.u32()?, fields.u32()?);
        fields.end()?;
        (flags & !7 == 0).then_some(Self {
            file,
            salt,
            frame,
            checksum,
            back_filled,
            attempted,
            counter,
            under_way: flags & 4 == 4,
            settled: flags & 1 == 1,
            all_back_filled: flags & 2 == 2,
        })
    }
}

/// Tag 3: a rewind is about to overwrite a frame. The record's LSN is the rewind's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IntentNote {
    /// The moment it leaves.
    pub(crate) from: u64,
    /// The moment it goes to.
    pub(crate) target: u64,
    /// The frame it overwrites first.
    pub(crate) frame: u32,
    /// What that frame's checksum will be.
    pub(crate) checksum: Checksum,
    /// The last frame of the chain that is abandoned.
    pub(crate) last: u32,
    /// That frame's checksum, which sums up the whole chain.
    pub(crate) last_checksum: Checksum,
}

impl IntentNote {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.extend_from_slice(&self.from.to_le_bytes());
        out.extend_from_slice(&self.target.to_le_bytes());
        out.extend_from_slice(&self.frame.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
        put_checksum(&mut out, self.checksum);
        put_checksum(&mut out, self.last_checksum);
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let (from, target) = (fields.u64()?, fields.u64()?);
        let (frame, last) = (fields.u32()?, fields.u32()?);
        let (checksum, last_checksum) = (fields.checksum()?, fields.checksum()?);
        let note = Self { from, target, frame, checksum, last, last_checksum };
        fields.end()?;
        Some(note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_round_trip_and_refuse_other_lengths() {
        let sum = Checksum(5, 6);
        let run = RunNote { frame: 3, salt: *b"saltsalt", checksum: sum, sequence: 2, back_filled: 1 };
        assert_eq!(RunNote::decode(&run.encode()), Some(run));
        let file = FileState { device: 1, inode: 2, size: 3, modified: 4, changed: 5 };
        let anchor = AnchorNote {
            file,
            salt: *b"saltsalt",
            frame: 9,
            checksum: sum,
            back_filled: 8,
            attempted: 9,
            counter: 7,
            under_way: true,
            settled: true,
            all_back_filled: false,
        };
        assert_eq!(AnchorNote::decode(&anchor.encode()), Some(anchor));
        let last_checksum = Checksum(7, 8);
        let intent = IntentNote { from: 1, target: 2, frame: 3, checksum: sum, last: 9, last_checksum };
        assert_eq!(IntentNote::decode(&intent.encode()), Some(intent));
        for body in [run.encode(), anchor.encode(), intent.encode()] {
            let short = &body[..body.len() - 1];
            assert!(RunNote::decode(short).is_none() && AnchorNote::decode(short).is_none());
            assert!(IntentNote::decode(short).is_none());
        }
    }
}
