//! A rewind: by moving the WAL's end back, or by writing what differs as a transaction (`written.rs`).

use std::time::{Duration, Instant};

use dbrewind_core::{Extent, Head, Kind, Lsn, Need, RewindBody};

use super::core::Core;
use super::index::{IndexHeader, UNUSED_MARK};
use super::locks::{CKPT, READ1, READ4, WRITE};
use super::notes::{IntentNote, RunNote};
use super::transaction::Place;
use crate::checksum::{Checksum, Salt};
use crate::engine::{Change, locked, next_lsn};
use crate::error::{Error, Without};
use crate::fault;
use crate::ffi::{ShmLock, VfsError};
use crate::notes::tag;
use crate::options::Synchronous;
use crate::rewound::Method;

/// How long readers are waited for before the rewind is written instead.
const READER_GRACE: Duration = Duration::from_micros(300);

/// Bytes of what is recorded of a rewind that moves the WAL's end, and then some.
const TO_MOVE: u32 = 512;

impl Core {
    /// Brings the database to its state at `to`.
    pub(crate) fn rewind(&mut self, to: Lsn, timeout: Duration) -> Result<Change, Error> {
        self.asked = Some(timeout);
        let done = self.rewind_within(to, timeout);
        self.asked = None;
        done
    }

    fn rewind_within(&mut self, to: Lsn, timeout: Duration) -> Result<Change, Error> {
        self.check_recording()?;
        self.refuse_unknown(to)?;
        // Now, while nobody waits for us: under WRITE every writer would.
        self.store.make_room_within(Need::Keep, TO_MOVE, timeout);
        // What that took is no time that a lock was waited for.
        let started = Instant::now();
        let _object = self.lock_object(timeout)?;
        let done = self.rewind_locked(to, started, timeout);
        self.let_go_if_adrift();
        done
    }

    fn rewind_locked(&mut self, to: Lsn, started: Instant, timeout: Duration) -> Result<Change, Error> {
        let what = "another connection has an open write transaction";
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            let done = self.with_exclusive(WRITE, left, what, |core| match core.index.watch().header() {
                Some(header) if core.holder.is_some() => {
                    let done = core.rewind_under_write(&header, to)?;
                    core.begin_era_after_rewind();
                    Ok(Some(done))
                }
                Some(header) => core.rewind_beside_the_holder(&header, to).map(Some),
                // Its writer died; SQLite can recover it only without our WRITE.
                None => Ok(None),
            })?;
            match done {
                Some(change) => return Ok(change),
                None => self.header()?,
            };
        }
    }

    /// Says at once what no waiting for locks would change.
    fn refuse_unknown(&mut self, to: Lsn) -> Result<(), Error> {
        self.refresh()?;
        let header = self.header()?;
        let mut history = locked(&self.history);
        history.catch_up()?;
        if to <= history.timeline.last() {
            return Ok(history.timeline.reachable(to)?);
        }
        drop(history);
        // Somebody else is in the middle of moving the end.
        let moving = self.registers().newest_run() != self.runs.stamp();
        if !moving && to > self.lsn_now(&header)? {
            return Err(Error::NoSuchMoment { lsn: to });
        }
        Ok(())
    }

    /// The freeze is another process's, which may die at any time: our own SHARED on CKPT keeps checkpointers out from
    /// here on, and the anchor tells whether one came before.
    fn rewind_beside_the_holder(&mut self, header: &IndexHeader, to: Lsn) -> Result<Change, Error> {
        let gone = || Error::NotAttached { what: "the recording that held the WAL has died".to_owned() };
        match self.file.shm_lock(CKPT, 1, ShmLock::Shared) {
            Ok(()) => {}
            Err(VfsError::Busy) => return Err(gone()),
            Err(other) => return Err(Error::vfs("lock the wal-index against checkpoints")(other)),
        }
        let done = self.refresh_runs().and_then(|()| match self.frozen_elsewhere(header)? {
            true => self.rewind_under_write(header, to),
            false => Err(gone()),
        });
        let released = self.file.shm_unlock(CKPT, 1, ShmLock::Shared);
        released.map_err(Error::vfs("unlock the wal-index"))?;
        done
    }

    fn rewind_under_write(&mut self, header: &IndexHeader, to: Lsn) -> Result<Change, Error> {
        if self.holder.is_some() && !self.freeze_holds(header) {
            return Err(Error::NotAttached {
                what: "the WAL was back-filled or restarted under our locks".to_owned(),
            });
        }
        self.refresh_runs()?;
        self.drain_to(header, u32::MAX)?;
        // It has another checksum if frames had to be chained.
        let header = self.index.watch().header();
        let header = &header.ok_or_else(|| Error::internal("no header of the wal-index under WRITE"))?;
        let now = self.lsn_now(header)?;
        if self.tailed != now {
            return Err(Error::WalDamaged { what: "its last published frame is no commit".to_owned() });
        }
        {
            let mut history = locked(&self.history);
            history.catch_up_whole(self.patience())?;
            history.timeline.reachable(to)?;
            if history.timeline.canonical(now) == history.timeline.canonical(to) {
                return Ok(Change { undo: now, pages: 0, method: Method::Nothing });
            }
        }
        if self.holder.is_some()
            && let Some(frame) = self.hot_frame(to, header.max_frame)
            // A moment of the present era, whose frame it is: the era before may be evicted.
            && let Some(named) = if self.is_before_era(to) { self.runs.lsn_of(frame) } else { Some(to) }
            && let Some(change) = self.without_readers(|core| core.move_to(header, frame, now, named))?
        {
            return Ok(change);
        }
        self.write_to(header, now, to)
    }

    /// Runs `work` while no reader is in the WAL, or answers `None` at once if one is. WRITE is held; our SHARED
    /// on CKPT keeps checkpointers out while the slot changes hands, WRITE everybody who would restart the WAL.
    fn without_readers(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Change, Error>,
    ) -> Result<Option<Change>, Error> {
        let Some(frozen) = self.frozen else { return Ok(None) };
        self.release_slot()?;
        let alone = self.shut_out_readers();
        let result = match &alone {
            Ok(true) => work(self).map(Some),
            Ok(false) => Ok(None),
            Err(_) => Ok(None),
        };
        // The slots first: a reader that comes now takes one of them, and not the freeze's.
        let mut released = Ok(());
        if matches!(alone, Ok(true)) {
            released = self.release_exclusive(READ1, 3).and_then(|()| self.release_exclusive(READ4, 1));
        }
        let frozen_again = self.hold_slot(frozen.back_filled, self.timeout);
        alone?;
        // It has happened, or its error says more than these.
        if matches!(result, Ok(None)) {
            released?;
            frozen_again?;
        } else {
            self.adrift |= released.is_err();
        }
        result
    }

    /// Takes READ1 to READ4 exclusively: all at once, or one by one for a short while, keeping what it has.
    fn shut_out_readers(&mut self) -> Result<bool, Error> {
        if self.try_exclusive(READ1, 4)? {
            return Ok(true);
        }
        let started = Instant::now();
        let (mut taken, mut failed) = (0, None);
        while taken < 4 {
            match self.try_exclusive(READ1 + taken, 1) {
                Ok(true) => taken += 1,
                Ok(false) if started.elapsed() < READER_GRACE => {
                    std::thread::sleep(Duration::from_micros(20));
                }
                Ok(false) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if taken == 4 {
            return Ok(true);
        }
        for slot in 0..taken {
            self.release_exclusive(READ1 + slot, 1)?;
        }
        failed.map_or(Ok(false), Err)
    }

    /// Makes frame `k` the WAL's last but for one new frame: page 1 of that moment, moved forward. It takes the
    /// place of the first abandoned frame, so that the chain of checksums ends there for ever.
    fn move_to(&mut self, header: &IndexHeader, k: u32, from: Lsn, to: Lsn) -> Result<Change, Error> {
        let last = self.wal.frame_header(k)?;
        if last.salt != header.salt || last.commit == 0 {
            return Err(Error::WalDamaged { what: format!("frame {k} is not the commit it was") });
        }
        let pages = last.commit;
        let now = self.page_one(header.max_frame)?;
        let mut image = vec![0; self.page_size as usize];
        self.read_start(1, k, &mut image)?;
        let one = self.fresh_page_one(image, now, pages)?;
        let place = Place { after: k, checksum: last.checksum, order: header.order, salt: header.salt };
        let (frame, checksum) = Self::one_frame(place, &one, pages);
        let lsn = next_lsn(from)?;
        let mut old = vec![0; frame.len()];
        self.wal.read_frames(k + 1, &mut old)?;
        self.index.reach(&mut self.file, k + 1)?;

        let intent = IntentNote {
            from: from.get(),
            target: to.get(),
            frame: k + 1,
            checksum,
            last: header.max_frame,
            last_checksum: header.checksum,
        };
        // Once it has happened nothing must be missing. An intent of what is then refused would stand behind the newest anchor, which would be
        // that of another moment: it counts when there is room for all.
        let said = (self.head(Kind::Note, tag::WAL_INTENT, lsn), intent.encode());
        let note = self.run_note(k + 1, checksum, header.salt);
        let run = (self.head(Kind::Note, tag::RUN, lsn), note.encode());
        let rewind = self.rewind_record(lsn, from, to, u64::from(pages));
        if !self.store.would_have_room((0, 0), (Need::Keep, TO_MOVE))? {
            return Err(Error::no_room(&self.store, Without::Rewind(0)));
        }
        fault::place("wal rewind: asked");
        let (said, recorded) = self.store.reserve_two(Need::Keep, vec![said], vec![run, rewind])?;
        fault::place("wal rewind: room");
        said.commit()?;
        fault::place("wal rewind: intent");
        self.note_counters(&one);
        self.index.invalidate(&mut self.file);
        fault::place("wal rewind: header invalid");
        // Whoever reads the header from now on must know that LSNs are counted anew.
        self.registers().announce_run(note.stamp(lsn.get()));
        let written = self.wal.write_frames(k + 1, &frame).and_then(|()| match self.synchronous {
            Synchronous::Full => self.wal.sync(),
            _ => Ok(()),
        });
        fault::place("wal rewind: frame written");
        if let Err(error) = written {
            // The old frame back, then the old header: as if nothing had been.
            match self.wal.write_frames(k + 1, &old) {
                Ok(()) => {
                    drop(recorded);
                    self.registers().announce_run(self.runs.stamp());
                    self.index.publish(&mut self.file, header);
                    // Without it, too, all is as it was; but for how certain the next `close` is.
                    let _ = self.nothing_came_of(&intent, lsn);
                }
                // As after a kill: SQLite recovers what is in the file, and the next call finds out what that is.
                Err(_) => {
                    self.adrift = true;
                    return Err(error.at_either());
                }
            }
            return Err(error);
        }
        if let Err(error) = self.index.enter(&mut self.file, k + 1, 1) {
            // It may have dropped what the index knew of the abandoned frames: no way back, so as after a kill.
            self.adrift = true;
            return Err(error.at_target());
        }
        fault::place("wal rewind: frame entered");
        self.publish(header, k + 1, pages, checksum);
        fault::place("wal rewind: published");
        for (slot, mark) in [(0, 0), (1, k + 1), (2, UNUSED_MARK), (3, UNUSED_MARK)] {
            self.index.set_read_mark(slot, mark);
        }
        let back_filled = self.index.watch().back_filled();
        if self.index.attempted() > k + 1 {
            self.index.set_attempted(back_filled);
        }
        let recorded = recorded.commit().map_err(Error::from);
        fault::place("wal rewind: recorded");
        self.or_stop(recorded).map_err(Error::at_target)?;
        self.runs.push(lsn, &note);
        self.is_at(lsn, u64::from(pages));
        Ok(Change { undo: from, pages: 1, method: Method::Moved })
    }

    /// Stops the recording after a failure: the database has changed, and the store does not know how.
    fn or_stop<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.store.set_broken(self.object, error.code());
        }
        result
    }

    /// Publishes a new end of the WAL.
    pub(crate) fn publish(&mut self, old: &IndexHeader, max_frame: u32, pages: u32, checksum: Checksum) {
        let mut header = *old;
        // It helps to tell headers apart and need not: the checksum in them sums up all frames, of which each rewind's
        // has a counter of its own.
        header.change = self.registers().next_index_change(old.change);
        header.max_frame = max_frame;
        header.pages = pages;
        header.checksum = checksum;
        self.index.publish(&mut self.file, &header);
    }

    /// The note of a run that begins at this frame.
    pub(crate) fn run_note(&self, frame: u32, checksum: Checksum, salt: Salt) -> RunNote {
        let back_filled = self.index.watch().back_filled();
        RunNote { frame, salt, checksum, sequence: self.sequence, back_filled }
    }

    /// Records that LSNs and frames advance together from here.
    pub(crate) fn record_run(&mut self, lsn: Lsn, note: &RunNote) -> Result<(), Error> {
        self.keep(self.head(Kind::Note, tag::RUN, lsn), &note.encode())?;
        self.runs.push(lsn, note);
        self.registers().announce_run(self.runs.stamp());
        Ok(())
    }

    /// Records a rewind that has happened.
    pub(crate) fn record_rewind(&mut self, lsn: Lsn, from: Lsn, to: Lsn, pages: u64) -> Result<(), Error> {
        let (head, body) = self.rewind_record(lsn, from, to, pages);
        self.store.append_in_need(Need::Keep, head, &[&body])?;
        self.is_at(lsn, pages);
        Ok(())
    }

    pub(super) fn rewind_record(&self, lsn: Lsn, from: Lsn, to: Lsn, pages: u64) -> (Head, Vec<u8>) {
        let time = self.store.next_time(self.object);
        let body = RewindBody { time, extent: Extent::new(pages), from, note: &[] };
        (self.head(Kind::Rewind, to.get(), lsn), body.encode())
    }

    /// A rewind is recorded, which has this LSN and left so many pages.
    pub(super) fn is_at(&mut self, lsn: Lsn, pages: u64) {
        self.store.raise_last_lsn(self.object, lsn);
        (self.tailed, self.extent) = (lsn, pages);
    }
}
