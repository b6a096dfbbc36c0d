//! The NOTE records that the engines write (`format.md`, "What the SQLite adapter writes").

mod anchor;
mod writer;

pub(crate) use anchor::{RollbackAnchor, WalAnchor, anchored_file, is_of_another_file};
pub(crate) use writer::{WriterNote, of_key, own_key};

use crate::checksum::Checksum;

/// Which tag is what.
pub(crate) mod tag {
    /// WAL: from here on frame numbers and LSNs advance together.
    pub(crate) const RUN: u64 = 1;
    /// What the database looked like when we last knew.
    pub(crate) const ANCHOR: u64 = 2;
    /// WAL: a rewind that is about to overwrite a frame.
    pub(crate) const WAL_INTENT: u64 = 3;
    /// Rollback modes: a rewind that is about to write the file.
    pub(crate) const ROLLBACK_INTENT: u64 = 4;
    /// Rollback modes: commits that the change counter does not tell apart follow.
    pub(crate) const SAME_COUNTER: u64 = 5;
    /// Rollback modes: which process the commits are of that follow.
    pub(crate) const WRITER: u64 = 6;
}

/// Takes little-endian fields off the front of a body.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn checksum(&mut self) -> Option<Checksum> {
        Some(Checksum(self.u32()?, self.u32()?))
    }

    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Appends a checksum, as [`Fields::checksum`] takes it.
pub(crate) fn put_checksum(out: &mut Vec<u8>, sum: Checksum) {
    out.extend_from_slice(&sum.0.to_le_bytes());
    out.extend_from_slice(&sum.1.to_le_bytes());
}
