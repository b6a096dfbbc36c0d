//! Frames that SQLite has published without their place in the chain of checksums.
//!
//! It leaves salts and checksum of a frame out while it knows that it will compute them at the end of the transaction. After a
//! `ROLLBACK TO` behind which pages had been written to the WAL twice, it can forget the first of them (seen with 3.40.1). Its
//! connections go by the wal-index and notice nothing; but who recovers the wal-index from the file finds the end of the WAL there, and what was
//! committed since is lost. SQLite heals that by its next checkpoint, which we keep from happening: so it is for us to heal
//! it. See `rust/docs/recovery.md`, "Frames outside the chain".

use std::time::Duration;

use super::core::Core;
use super::header::{FrameHeader, WalHeader};
use super::index::IndexHeader;
use super::locks::WRITE;
use crate::checksum::Checksum;
use crate::error::Error;
use crate::fault;
use crate::options::Synchronous;

/// Bytes of the WAL that are read at once.
const CHUNK: usize = 512 * 1024;

impl FrameHeader {
    /// Whether SQLite has left salts and checksum for later.
    pub(crate) fn is_unchained(&self) -> bool {
        self.salt == [0; 8] && self.checksum == Checksum::default()
    }
}

impl Core {
    /// The first such frame of all that are published.
    pub(crate) fn first_unchained(&self, header: &IndexHeader) -> Result<Option<u32>, Error> {
        for frame in 1..=header.max_frame {
            if self.wal.frame_header(frame)?.is_unchained() {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Gives the published frames from `first` on, which has none, salts and checksums that continue those before. Answers the
    /// header that is published then.
    ///
    /// # Errors
    /// `DBR004` when somebody is in a write transaction for longer than `patience`.
    pub(crate) fn chain(&mut self, first: u32, patience: Duration) -> Result<IndexHeader, Error> {
        if self.writing {
            return self.chain_under_write(first);
        }
        let what = "another connection has an open write transaction, and the WAL before it has to be healed";
        self.with_exclusive(WRITE, patience, what, |core| core.chain_under_write(first))
    }

    fn chain_under_write(&mut self, first: u32) -> Result<IndexHeader, Error> {
        let read = |core: &Self| {
            core.index
                .watch()
                .header()
                .ok_or_else(|| Error::internal("no header of the wal-index under WRITE"))
        };
        let header = read(self)?;
        if header.max_frame < first {
            return Ok(header);
        }
        let mut sum = self.checksum_before(&header, first)?;
        let mut one = None;
        let mut last = None;
        let frame_len = self.wal.frame_len();
        let mut buffer = vec![0; (CHUNK / frame_len).max(1) * frame_len];
        let mut next = first;
        while next <= header.max_frame {
            let count = (buffer.len() / frame_len).min((header.max_frame - next + 1) as usize);
            let frames = buffer.get_mut(..count * frame_len).unwrap_or_default();
            self.wal.read_frames(next, frames)?;
            for bytes in frames.chunks_exact(frame_len) {
                let (start, checksum) = rechained(&header, sum, bytes).ok_or_else(|| Error::WalDamaged {
                    what: format!("frame {next} belongs to another generation"),
                })?;
                match next == first {
                    true => one = Some(start),
                    false if bytes.starts_with(&start) => {}
                    false => self.wal.write_frames(next, &start)?,
                }
                (sum, last) = (checksum, FrameHeader::decode(bytes));
                fault::place("wal chain: one frame");
                next += 1;
            }
        }
        let (Some(one), Some(last)) = (one, last) else { return Ok(header) };
        // Until the first one's is there it shows what is left to do; and who commits in the midst of it continues what
        // the wal-index says.
        self.publish(&header, header.max_frame, last.commit, sum);
        fault::place("wal chain: published");
        self.wal.write_frames(first, &one)?;
        if self.synchronous == Synchronous::Full {
            self.wal.sync()?;
        }
        read(self)
    }

    /// The checksum that a frame continues.
    fn checksum_before(&self, header: &IndexHeader, frame: u32) -> Result<Checksum, Error> {
        let damaged = |what: String| Error::WalDamaged { what };
        let Some(before) = frame.checked_sub(1).filter(|before| *before > 0) else {
            let found = WalHeader::decode(&self.wal.read_header()?);
            let found = found.filter(|(found, _)| found.salt == header.salt);
            return found
                .map(|(_, sum)| sum)
                .ok_or_else(|| damaged("its header is of another generation".to_owned()));
        };
        let found = self.checksum_of(before, header.salt)?;
        found.ok_or_else(|| damaged(format!("frame {before} belongs to another generation")))
    }
}

/// What a frame's header has to be, and its checksum. `None`: it is a frame of another generation.
fn rechained(
    header: &IndexHeader,
    before: Checksum,
    bytes: &[u8],
) -> Option<([u8; FrameHeader::LEN], Checksum)> {
    let frame = FrameHeader::decode(bytes)?;
    if frame.page == 0 || !(frame.salt == header.salt || frame.is_unchained()) {
        return None;
    }
    let sum = FrameHeader::checksum_of(header.order, before, bytes);
    let mut start = [0; FrameHeader::LEN];
    let parts = bytes.get(..8)?.iter().chain(&header.salt).copied().chain(sum.to_bytes());
    for (to, from) in start.iter_mut().zip(parts) {
        *to = from;
    }
    Some((start, sum))
}
