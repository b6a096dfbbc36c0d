//! Bodies of the NOTE records that this engine alone writes (`format.md`, "What the SQLite adapter writes").

use crate::checksum::{Checksum, Salt};
use crate::notes::{Fields, put_checksum};

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
        let (frame, reserved) = (fields.u32()?, fields.u32()?);
        let note = Self {
            frame,
            salt: fields.array()?,
            checksum: fields.checksum()?,
            sequence: fields.u32()?,
            back_filled: fields.u32()?,
        };
        fields.end()?;
        (reserved == 0).then_some(note)
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
        let last_checksum = Checksum(7, 8);
        let intent = IntentNote { from: 1, target: 2, frame: 3, checksum: sum, last: 9, last_checksum };
        assert_eq!(IntentNote::decode(&intent.encode()), Some(intent));
        let mut reserved = run.encode();
        reserved[5] = 1;
        assert_eq!(RunNote::decode(&reserved), None, "reserved bytes are checked");
        for body in [run.encode(), intent.encode()] {
            let short = &body[..body.len() - 1];
            assert!(RunNote::decode(short).is_none());
            assert!(IntentNote::decode(short).is_none());
        }
    }
}
