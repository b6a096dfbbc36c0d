//! Frames of a transaction that is still running: a long one writes most of them before it commits. Copying them in
//! the meantime leaves little to do when it has.
//!
//! Whether they were those that it committed shows in the checksum of the last one, which sums up all frames before
//! it. If not, a `VOID` takes them back.

use std::time::{Duration, Instant};

use dbrewind_core::{Head, Kind, Location};

use super::core::Core;
use super::header::FrameHeader;
use super::index::IndexHeader;
use crate::checksum::Checksum;
use crate::engine::locked;
use crate::error::Error;
use crate::fault;

/// A transaction with fewer frames than this is left until it commits.
const WORTH_IT: usize = 16;
/// Frames that are copied before other calls get a turn.
const AT_ONCE: usize = 256;
/// When a frame that does not continue the chain is looked at again at first, and how long between looks at most: its
/// writer may be in the midst of it.
const SOON: Duration = Duration::from_micros(100);
const LATER: Duration = Duration::from_millis(50);

/// What was copied of a running transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    /// The last frame.
    frame: u32,
    /// Its checksum.
    checksum: Checksum,
    /// Where its image is: as long as that is the newest one in the store, nobody else came in between.
    at: Location,
    /// The last page of all.
    widest: u32,
}

/// A frame behind the last one known that did not continue it: left over from an abandoned transaction, or half
/// written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stale {
    last: u32,
    header: [u8; FrameHeader::LEN],
    /// When to look at it again.
    again: Instant,
    /// How long to wait if it is still the same then.
    pause: Duration,
}

/// What this process knows of frames behind the WAL's end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beyond {
    copied: Option<Ahead>,
    stale: Option<Stale>,
    /// Nothing more is copied behind this end of the WAL: an append failed.
    given_up: Option<u32>,
}

/// The frames behind one, as far as they are a transaction's that goes on there.
struct Verified {
    records: Vec<(Head, std::ops::Range<usize>)>,
    last: FrameHeader,
    widest: u32,
}

impl Core {
    /// The last frame of the running transaction that is in the store with all before it, and the last page written
    /// so far, if that transaction is the one that has committed. Else what was copied is taken back.
    pub(crate) fn confirm_ahead(&mut self, header: &IndexHeader) -> Result<Option<(u32, u32)>, Error> {
        let copied = self.beyond.copied.take();
        let newest = self.newest_ahead()?;
        if newest.is_none() {
            return Ok(None);
        }
        if let Some(ahead) =
            copied.filter(|ahead| Some(ahead.at) == newest && ahead.frame <= header.max_frame)
        {
            let there = self.wal.frame_header(ahead.frame)?;
            if there.salt == header.salt && there.checksum == ahead.checksum {
                return Ok(Some((ahead.frame, ahead.widest)));
            }
        }
        self.void_ahead()?;
        Ok(None)
    }

    /// Takes back what was copied of a transaction, whatever became of it. Where there is no room the record takes of what is left to
    /// evictions.
    pub(super) fn forget_ahead(&mut self) -> Result<(), Error> {
        self.beyond.copied = None;
        if self.newest_ahead()?.is_none() {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.in_need, true);
        let taken_back = self.void_ahead();
        self.in_need = before;
        taken_back
    }

    /// The newest image in the store that no commit has confirmed.
    fn newest_ahead(&self) -> Result<Option<Location>, Error> {
        let mut history = locked(&self.history);
        history.catch_up_whole(self.patience())?;
        Ok(history.timeline.ahead())
    }

    fn void_ahead(&mut self) -> Result<(), Error> {
        // What another process has recorded before it died may not be announced: the records themselves tell.
        let last = locked(&self.history).timeline.last();
        self.keep(self.head(Kind::Void, 0, last), &[])?;
        fault::place("wal tail: taken back");
        Ok(locked(&self.history).catch_up()?)
    }

    /// Whether it is worth looking behind the WAL's end: a cheap guess, without any lock but the core's.
    pub(crate) fn something_ahead(&mut self, header: &IndexHeader) -> bool {
        if self.beyond.given_up == Some(header.max_frame) {
            return false;
        }
        let last = self.beyond.copied.map_or(header.max_frame, |ahead| ahead.frame);
        let mut next = [0; FrameHeader::LEN];
        let there = self.wal.read_some(last + 1, &mut next).is_ok_and(|len| len == next.len());
        let seen = |stale: &Stale| (stale.last, stale.header) == (last, next);
        let wait =
            self.beyond.stale.as_ref().is_some_and(|stale| seen(stale) && Instant::now() < stale.again);
        there
            && !wait
            && FrameHeader::decode(&next).is_some_and(|frame| frame.salt == header.salt && frame.commit == 0)
    }

    /// Copies frames of a transaction that is running, if one is. Answers whether there may be more at once.
    /// Everything committed is in the store, and the object's lock is held.
    pub(crate) fn copy_ahead(&mut self, header: &IndexHeader) -> Result<bool, Error> {
        let newest = self.newest_ahead()?;
        let mut copied = self.beyond.copied.take().filter(|ahead| Some(ahead.at) == newest);
        if newest.is_some() && copied.is_none() {
            self.void_ahead()?;
        }
        let (last, checksum, widest) = copied.map_or((header.max_frame, header.checksum, 0), |ahead| {
            (ahead.frame, ahead.checksum, ahead.widest)
        });
        let mut buffer = std::mem::take(&mut self.buffer);
        let count = if copied.is_some() { AT_ONCE } else { WORTH_IT };
        let read = self.read_beyond(header, (last, checksum), count, &mut buffer);
        let verified = self.verify(header, last, checksum, &buffer);
        let found = verified.records.len();
        let mut result = read;
        if found >= WORTH_IT || (copied.is_some() && found > 0) {
            let records = verified
                .records
                .iter()
                .map(|(head, image)| (*head, buffer.get(image.clone()).unwrap_or_default()));
            let appended = self.store.append_batch(&records.collect::<Vec<_>>());
            fault::place("wal tail: copied ahead");
            // After an error some are there without us knowing which: taken back before anything else.
            copied = appended.as_ref().ok().copied().flatten().map(|at| Ahead {
                frame: last + u32::try_from(found).unwrap_or(0),
                checksum: verified.last.checksum,
                at,
                widest: verified.widest.max(widest),
            });
            if appended.is_err() {
                // The drain meets it again and says so. Until then nobody tries to make room again and again.
                self.beyond.given_up = Some(header.max_frame);
            }
            result = appended.map(|_| ()).map_err(Error::from);
        }
        self.buffer = buffer;
        self.beyond.copied = copied;
        result.map(|()| found == count)
    }

    /// Reads up to `count` frames behind the last one; none if not even the first continues it.
    fn read_beyond(
        &mut self,
        header: &IndexHeader,
        (last, checksum): (u32, Checksum),
        count: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        buffer.resize(self.wal.frame_len(), 0);
        let first = self.wal.read_some(last + 1, buffer)?;
        buffer.truncate(first);
        if self.verify(header, last, checksum, buffer).records.is_empty() {
            if let Some(next) = buffer.first_chunk() {
                let before = self.beyond.stale.filter(|stale| (stale.last, stale.header) == (last, *next));
                let pause = before.map_or(SOON, |stale| (stale.pause * 2).min(LATER));
                self.beyond.stale = Some(Stale { last, header: *next, again: Instant::now() + pause, pause });
            }
            buffer.clear();
            return Ok(());
        }
        buffer.resize(count * self.wal.frame_len(), 0);
        let read = self.wal.read_some(last + 1, buffer)?;
        buffer.truncate(read);
        Ok(())
    }

    /// The frames in the buffer that continue the chain of checksums after frame `last`, up to one that commits.
    fn verify(&self, header: &IndexHeader, last: u32, mut sum: Checksum, buffer: &[u8]) -> Verified {
        let frame_len = self.wal.frame_len();
        let none = FrameHeader { page: 0, commit: 0, salt: header.salt, checksum: sum };
        let mut verified = Verified { records: Vec::new(), last: none, widest: 0 };
        for (number, (at, bytes)) in
            (last + 1..).zip((0..).step_by(frame_len).zip(buffer.chunks_exact(frame_len)))
        {
            let Some(frame) = FrameHeader::decode(bytes) else { break };
            if frame.salt != header.salt || frame.page == 0 || frame.commit != 0 {
                break;
            }
            sum = FrameHeader::checksum_of(header.order, sum, bytes);
            let Some(lsn) = self.runs.lsn_of(number).filter(|_| sum == frame.checksum) else { break };
            self.note_page_one(frame.page, bytes);
            let image = at + FrameHeader::LEN..at + frame_len;
            verified.records.push((self.head(Kind::After, u64::from(frame.page), lsn), image));
            verified.widest = verified.widest.max(frame.page);
            verified.last = frame;
        }
        verified
    }
}
