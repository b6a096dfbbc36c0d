//! From the WAL into the store: one record a frame, one a commit. Copying the same frames twice is harmless.

use std::ops::Range;
use std::time::Duration;

use dbrewind_core::{AppendError, Code, CommitBody, Extent, Head, Kind, Lsn};

use super::core::Core;
use super::header::FrameHeader;
use super::index::IndexHeader;
use super::locks::WRITE;
use crate::error::Error;
use crate::fault;
use crate::file::PageOne;

/// Bytes of the WAL that are read at once. One frame where tests end the process between frames.
const CHUNK: usize = if cfg!(feature = "fault") { 1 } else { 512 * 1024 };

/// A stretch of the WAL on its way into the store.
struct Stretch {
    /// The next frame to be looked at.
    next: u32,
    /// The last page that its transaction has written so far.
    widest: u32,
    /// Where the last commit leads, once what is before it is in the store: its LSN and length in pages.
    commit: Option<(Lsn, u64)>,
}

/// How far a copy has come.
enum Copied {
    All,
    /// Up to a commit; there is more.
    Some,
    /// Up to a frame that SQLite published without salts.
    Before(u32),
}

/// A record whose body is among the bytes read, or short.
enum Body {
    Image(Range<usize>),
    Short(Vec<u8>),
}

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
        let result = self.confirm_ahead(header).and_then(|ahead| {
            let (done, widest) = ahead.unwrap_or((frame, 0));
            self.copy(header, Stretch { next: done + 1, widest, commit: None }, most)
        });
        let result = match result {
            Ok(Copied::Before(frame)) => {
                let chained = self.chain(frame, Duration::ZERO);
                chained.and_then(|header| self.copy_again(&header, most))
            }
            Ok(copied) => Ok(matches!(copied, Copied::All)),
            Err(error) => Err(error),
        };
        self.store.raise_last_lsn(self.object, self.tailed);
        if let Err(Error::Append(AppendError::Full { .. })) = &result {
            self.store.set_broken(self.object, Code::StoreFull);
        }
        result
    }

    /// Copies from the last commit in the store on, now that all frames have their salts.
    fn copy_again(&mut self, header: &IndexHeader, most: u32) -> Result<bool, Error> {
        let frame = self.runs.frame_of(self.tailed, header.max_frame);
        let frame = frame.ok_or_else(|| Error::internal("the last commit in the store has no frame"))?;
        match self.copy(header, Stretch { next: frame + 1, widest: 0, commit: None }, most)? {
            Copied::Before(frame) => {
                Err(Error::WalDamaged { what: format!("frame {frame} belongs to another generation") })
            }
            copied => Ok(matches!(copied, Copied::All)),
        }
    }

    fn copy(&mut self, header: &IndexHeader, mut stretch: Stretch, most: u32) -> Result<Copied, Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let first = stretch.next;
        let mut result = Ok(Copied::All);
        while stretch.next <= header.max_frame {
            // Not in the midst of a transaction.
            if stretch.widest == 0 && stretch.next - first >= most {
                result = Ok(Copied::Some);
                break;
            }
            match self.copy_chunk(header, &mut stretch, &mut buffer) {
                Ok(None) => {}
                Ok(Some(frame)) => result = Ok(Copied::Before(frame)),
                Err(error) => result = Err(error),
            }
            if !matches!(result, Ok(Copied::All)) {
                break;
            }
        }
        self.buffer = buffer;
        result
    }

    /// Copies as many frames as are read at once, but none from an unchained one on, which is the answer.
    fn copy_chunk(
        &mut self,
        header: &IndexHeader,
        stretch: &mut Stretch,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u32>, Error> {
        let frame_len = self.wal.frame_len();
        let per_chunk = u32::try_from((CHUNK / frame_len).max(1)).unwrap_or(1);
        let count = per_chunk.min(header.max_frame - stretch.next + 1);
        buffer.resize(count as usize * frame_len, 0);
        self.wal.read_frames(stretch.next, buffer)?;
        let mut records = Vec::with_capacity(count as usize + 8);
        let mut unchained = None;
        for at in (0..buffer.len()).step_by(frame_len) {
            let bytes = buffer.get(at..at + frame_len).unwrap_or_default();
            if FrameHeader::decode(bytes).is_some_and(|frame| frame.is_unchained()) {
                unchained = Some(stretch.next);
                break;
            }
            self.records_of(header, stretch, bytes, at, &mut records)?;
        }
        self.append_all(&records, buffer)?;
        fault::place("wal tail: one frame");
        let failed = |source| Error::Io { action: "record", path: self.path.clone(), source };
        fault::failure("wal tail: one frame").map_err(failed)?;
        if let Some((lsn, pages)) = stretch.commit {
            (self.tailed, self.extent) = (lsn, pages);
            // At once: whoever comes after a kill here goes by it.
            self.store.raise_last_lsn(self.object, lsn);
        }
        Ok(unchained)
    }

    /// Copies the frames of one transaction, which follow the WAL's end up to `last` and are not published: its images. Answers what is to
    /// be recorded once it is. Nothing may be left in the store of another transaction that has not committed.
    pub(super) fn copy_unpublished(
        &mut self,
        header: &IndexHeader,
        last: u32,
    ) -> Result<Vec<(Head, Vec<u8>)>, Error> {
        let frame_len = self.wal.frame_len();
        let per_chunk = u32::try_from((CHUNK / frame_len).max(1)).unwrap_or(1);
        let mut stretch = Stretch { next: header.max_frame + 1, widest: 0, commit: None };
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut left = Vec::new();
        let mut copied = Ok(());
        while copied.is_ok() && stretch.next <= last {
            let count = per_chunk.min(last - stretch.next + 1);
            buffer.resize(count as usize * frame_len, 0);
            copied = self.wal.read_frames(stretch.next, &mut buffer).and_then(|()| {
                let mut records = Vec::with_capacity(count as usize + 2);
                for at in (0..buffer.len()).step_by(frame_len) {
                    let bytes = buffer.get(at..at + frame_len).unwrap_or_default();
                    self.records_of(header, &mut stretch, bytes, at, &mut records)?;
                }
                let said = records.iter().position(|(_, body)| matches!(body, Body::Short(_)));
                let behind = records.split_off(said.unwrap_or(records.len()));
                left.extend(behind.into_iter().filter_map(|(head, body)| match body {
                    Body::Short(bytes) => Some((head, bytes)),
                    Body::Image(_) => None,
                }));
                self.append_all(&records, &buffer)
            });
        }
        self.buffer = buffer;
        copied.map(|()| left)
    }

    fn append_all(&mut self, records: &[(Head, Body)], buffer: &[u8]) -> Result<(), Error> {
        let bodies = records.iter().map(|(head, body)| match body {
            Body::Image(range) => (*head, buffer.get(range.clone()).unwrap_or_default()),
            Body::Short(bytes) => (*head, bytes.as_slice()),
        });
        self.store.append_batch(&bodies.collect::<Vec<_>>())?;
        Ok(())
    }

    /// Adds what one frame says: an image, and at the end of a transaction its commit. The frame's bytes begin at
    /// `at` of the buffer.
    fn records_of(
        &self,
        header: &IndexHeader,
        stretch: &mut Stretch,
        bytes: &[u8],
        at: usize,
        records: &mut Vec<(Head, Body)>,
    ) -> Result<(), Error> {
        let number = stretch.next;
        let damaged = |what: &str| Error::WalDamaged { what: format!("frame {number} {what}") };
        let frame = FrameHeader::decode(bytes).ok_or_else(|| damaged("is too short"))?;
        if frame.salt != header.salt {
            return Err(damaged("belongs to another generation"));
        }
        if frame.page == 0 {
            return Err(damaged("is of page 0"));
        }
        let lsn = self.runs.lsn_of(number).ok_or_else(|| damaged("is older than the recording"))?;
        self.note_page_one(frame.page, bytes);
        let image = Body::Image(at + FrameHeader::LEN..at + bytes.len());
        records.push((self.head(Kind::After, u64::from(frame.page), lsn), image));
        stretch.next += 1;
        stretch.widest = frame.page.max(stretch.widest);
        if frame.commit == 0 {
            return Ok(());
        }
        let (pages, widest) = (u64::from(frame.commit), u64::from(std::mem::take(&mut stretch.widest)));
        let before = stretch.commit.map_or(self.extent, |(_, pages)| pages);
        // It may have written pages on the way which it cut off again.
        if pages < before.max(widest) {
            records.push((self.head(Kind::Cut, pages + 1, lsn), Body::Short(Vec::new())));
        }
        let body = CommitBody { time: self.store.next_time(self.object), extent: Extent::new(pages) };
        records.push((self.head(Kind::Commit, 0, lsn), Body::Short(body.encode().to_vec())));
        stretch.commit = Some((lsn, pages));
        Ok(())
    }

    /// Takes note of the counters if the frame is of page 1.
    pub(crate) fn note_page_one(&self, page: u32, frame: &[u8]) {
        let image = frame.get(FrameHeader::LEN..).unwrap_or_default();
        if page == 1
            && let Some(one) = PageOne::read(image)
        {
            self.note_numbers(one.counter, one.cookie);
        }
    }

    /// Copies everything that is committed now. Takes the object's lock.
    pub(crate) fn drain_all(&mut self, timeout: Duration) -> Result<(), Error> {
        let _object = self.lock_object(timeout)?;
        self.check_recording()?;
        self.refresh_runs()?;
        let header = self.header()?;
        match self.drain_to(&header, u32::MAX) {
            // Frames before a running transaction have to be chained.
            Err(Error::Busy { what, .. }) => self.with_exclusive(WRITE, timeout, &what, |core| {
                let header = core.index.watch().header();
                header.map_or(Ok(()), |header| core.drain_to(&header, u32::MAX).map(drop))
            }),
            done => done.map(drop),
        }
    }
}
