//! From the WAL into the store: one record a frame, one a commit. Copying the same frames twice is harmless.

use std::time::Duration;

use dbrewind_core::{AppendError, Code, CommitBody, Extent, Kind, Lsn, Timestamp};

use super::core::{Core, HIGHEST_COOKIE, HIGHEST_COUNTER};
use super::header::FrameHeader;
use super::index::IndexHeader;
use super::page_one::PageOne;
use crate::error::Error;
use crate::fault;

/// Bytes of the WAL that are read at once.
const CHUNK: usize = 512 * 1024;

impl Core {
    /// Copies every commit up to the header into the store, or stops at the first commit after `most` frames.
    /// Answers whether it reached the end. The object's lock is held.
    pub(crate) fn drain_to(&mut self, header: &IndexHeader, most: u32) -> Result<bool, Error> {
        self.check_recording()?;
        self.refresh()?;
        let end = self.lsn_now(header)?;
        if self.tailed >= end {
            return Ok(true);
        }
        let Some(frame) = self.runs.frame_of(self.tailed, header.max_frame) else {
            return Err(Error::NotAttached {
                what: format!("LSN {} is no longer in the WAL, whose end is LSN {end}", self.tailed),
            });
        };
        let result = self.copy(header, frame + 1, most);
        self.store.raise_last_lsn(self.object, self.tailed);
        if let Err(Error::Append(AppendError::Full { .. })) = &result {
            self.store.set_broken(self.object, Code::StoreFull);
        }
        result
    }

    fn copy(&mut self, header: &IndexHeader, first: u32, most: u32) -> Result<bool, Error> {
        let frame_len = self.wal.frame_len();
        let per_chunk = u32::try_from((CHUNK / frame_len).max(1)).unwrap_or(1);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut next = first;
        // The last page that the transaction wrote.
        let mut widest = 0;
        let mut result = Ok(true);
        'all: while next <= header.max_frame {
            let count = per_chunk.min(header.max_frame - next + 1);
            buffer.resize(count as usize * frame_len, 0);
            if let Err(error) = self.wal.read_frames(next, &mut buffer) {
                result = Err(error);
                break;
            }
            for bytes in buffer.chunks_exact(frame_len) {
                match self.copy_frame(header, next, bytes, &mut widest) {
                    Ok(commit) => {
                        next += 1;
                        if commit && next - first >= most && next <= header.max_frame {
                            result = Ok(false);
                            break 'all;
                        }
                    }
                    Err(error) => {
                        result = Err(error);
                        break 'all;
                    }
                }
            }
        }
        self.buffer = buffer;
        result
    }

    /// Appends what one frame says; answers whether it ends a transaction.
    fn copy_frame(
        &mut self,
        header: &IndexHeader,
        number: u32,
        bytes: &[u8],
        widest: &mut u32,
    ) -> Result<bool, Error> {
        let damaged = |what: &str| Error::WalDamaged { what: format!("frame {number} {what}") };
        let frame = FrameHeader::decode(bytes).ok_or_else(|| damaged("is too short"))?;
        let image = bytes.get(FrameHeader::LEN..).unwrap_or_default();
        if frame.salt != header.salt {
            return Err(damaged("belongs to another generation"));
        }
        if frame.page == 0 {
            return Err(damaged("is of page 0"));
        }
        let lsn = self.runs.lsn_of(number).ok_or_else(|| damaged("is older than the recording"))?;
        if frame.page == 1
            && let Some(one) = PageOne::read(image)
        {
            self.store.raise_register(self.object, HIGHEST_COUNTER, u64::from(one.counter));
            self.store.raise_register(self.object, HIGHEST_COOKIE, u64::from(one.cookie));
        }
        self.store.append(self.head(Kind::After, u64::from(frame.page), lsn), &[image])?;
        fault::place("wal tail: one frame");
        *widest = frame.page.max(*widest);
        if frame.commit == 0 {
            return Ok(false);
        }
        let most = std::mem::take(widest);
        self.committed(lsn, u64::from(frame.commit), u64::from(most))?;
        Ok(true)
    }

    /// `widest`: the last page it wrote, perhaps on the way and to be cut off again.
    fn committed(&mut self, lsn: Lsn, pages: u64, widest: u64) -> Result<(), Error> {
        if pages < self.extent.max(widest) {
            self.store.append(self.head(Kind::Cut, pages + 1, lsn), &[])?;
        }
        let body = CommitBody { time: Timestamp::now(), extent: Extent::new(pages) };
        self.store.append(self.head(Kind::Commit, 0, lsn), &[&body.encode()])?;
        (self.tailed, self.extent) = (lsn, pages);
        Ok(())
    }

    /// Copies everything that is committed now. Takes the object's lock.
    pub(crate) fn drain_all(&mut self, timeout: Duration) -> Result<(), Error> {
        let _object = self.lock_object(timeout)?;
        self.check_recording()?;
        self.refresh_runs()?;
        let header = self.header()?;
        self.drain_to(&header, u32::MAX).map(|_| ())
    }
}
