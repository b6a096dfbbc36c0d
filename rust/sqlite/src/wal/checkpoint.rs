//! Our own checkpoint: nobody else can make one while we record.

use std::time::{Duration, Instant};

use dbrewind_core::{Key, Kind, Lsn};

use super::content::At;
use super::core::{Core, Frozen};
use super::header::WalHeader;
use super::index::UNUSED_MARK;
use super::locks::{READ0, READ1, READ4, WRITE};
use super::notes::RunNote;
use super::transaction::Place;
use crate::engine::{History, locked};
use crate::error::Error;
use crate::fault;
use crate::ffi;
use crate::options::Synchronous;

/// How long writers wait at most, once in an era, for readers to be out of the way.
const WRITERS_WAIT: Duration = Duration::from_millis(10);

impl Core {
    /// Back-fills up to `goal`, or as far as readers allow. The object's lock is held and everything up to the
    /// goal is drained. Answers whether the database file holds everything now.
    pub(crate) fn back_fill(&mut self, goal: u32) -> Result<bool, Error> {
        let Some(frozen) = self.frozen else { return Ok(false) };
        let header = self.header()?;
        if !self.freeze_holds(&header) {
            return Err(Error::NotAttached {
                what: "the WAL was back-filled or restarted under our locks".to_owned(),
            });
        }
        let goal = self.readers_allow(goal.min(header.max_frame))?;
        if goal <= frozen.back_filled {
            return Ok(frozen.back_filled >= header.max_frame);
        }
        let whole = goal == header.max_frame;
        let content = self.content(frozen.back_filled + 1, goal)?;
        let pages = self.pages_to_write(&content)?;
        self.save_bases(&pages, whole.then_some(content.pages))?;
        if self.synchronous != Synchronous::Off {
            self.wal.sync()?;
        }
        fault::place("wal checkpoint: bases saved");
        self.release_slot()?;
        let moved = self.move_slot(goal);
        self.hold_slot(if matches!(moved, Ok(true)) { goal } else { frozen.back_filled }, self.timeout)?;
        if !moved? || !self.try_exclusive(READ0, 1)? {
            return Ok(false);
        }
        if let Err(error) = self.announce_back_fill(goal) {
            self.release_exclusive(READ0, 1)?;
            return Err(error);
        }
        fault::place("wal checkpoint: announced");
        // From here on the states between are no longer below, even if this fails.
        self.attempted = goal;
        self.index.set_attempted(goal.max(self.index.attempted()));
        self.file.shm_barrier();
        let written = self.write_below(&content, &pages, whole);
        fault::place("wal checkpoint: pages written");
        if written.is_ok() {
            self.index.set_back_filled(goal);
            self.frozen = Some(Frozen { back_filled: goal, ..frozen });
        }
        self.release_exclusive(READ0, 1)?;
        fault::place("wal checkpoint: no anchor yet");
        // After a failure, too: it says how far what is in the file may come.
        let noted = self.drop_anchor(goal);
        written.and(noted)?;
        Ok(whole)
    }

    /// The largest frame up to `goal` that no reader's snapshot is older than; moves unused marks out of the way,
    /// as SQLite's checkpoint does.
    fn readers_allow(&mut self, mut goal: u32) -> Result<u32, Error> {
        for slot in 1..4 {
            let mark = self.index.watch().read_mark(slot);
            if mark >= goal {
                continue;
            }
            if self.try_exclusive(READ0 + slot, 1)? {
                self.index.set_read_mark(slot, if slot == 1 { goal } else { UNUSED_MARK });
                self.release_exclusive(READ0 + slot, 1)?;
            } else {
                goal = mark;
            }
        }
        Ok(goal)
    }

    /// Sets the freeze's mark. `false`: a reader is on the slot. Nobody can restart meanwhile, since not everything
    /// is back-filled.
    fn move_slot(&mut self, mark: u32) -> Result<bool, Error> {
        if !self.try_exclusive(READ4, 1)? {
            return Ok(false);
        }
        self.index.set_read_mark(super::freeze::SLOT, mark);
        self.file.shm_barrier();
        self.release_exclusive(READ4, 1)?;
        Ok(true)
    }

    /// Pages whose content in the database file changes: those with frames, and those that were cut off and are
    /// back.
    pub(super) fn pages_to_write(&self, content: &super::content::Content) -> Result<Vec<u32>, Error> {
        let mut pages: Vec<u32> =
            content.frames.keys().copied().filter(|page| *page <= content.pages).collect();
        let back = content.kept.saturating_add(1)..=content.pages;
        pages.extend(back.filter(|page| !content.frames.contains_key(page)));
        pages.sort_unstable();
        Ok(pages)
    }

    /// Length of the database file.
    pub(super) fn pages_in_file(&mut self) -> Result<u32, Error> {
        let bytes = self.file.size().map_err(Error::vfs("ask for the database's size"))?;
        Ok(u32::try_from(bytes / u64::from(self.page_size)).unwrap_or(u32::MAX))
    }

    /// Saves what is about to be overwritten, or cut off past `length`.
    pub(super) fn save_bases(&mut self, pages: &[u32], length: Option<u32>) -> Result<(), Error> {
        let file_pages = self.pages_in_file()?;
        let cut = length.map(|length| length.saturating_add(1)..=file_pages).into_iter().flatten();
        let (first, missing) = {
            let mut history = locked(&self.history);
            history.catch_up()?;
            {
                let History { store, timeline, .. } = &mut *history;
                timeline.read_back_era(store)?;
            }
            history.catch_up_whole(self.patience())?;
            let timeline = &history.timeline;
            let first = timeline.era().map_or(Lsn::ORIGIN, |era| era.first);
            let wanted = pages
                .iter()
                .copied()
                .chain(cut)
                .filter(|page| !timeline.in_store(Key::new(u64::from(*page))));
            (first, wanted.collect::<Vec<_>>())
        };
        let mut image = vec![0; self.page_size as usize];
        for page in missing {
            self.read_below(page, &mut image)?;
            self.keep(self.head(Kind::Base, u64::from(page), first), &image)?;
        }
        // Pairs with the barrier of a view between its read of the file and its look into the log: who sees what is written
        // next finds what it replaced.
        ffi::full_barrier();
        Ok(())
    }

    fn write_below(
        &mut self,
        content: &super::content::Content,
        pages: &[u32],
        whole: bool,
    ) -> Result<(), Error> {
        let size = u64::from(self.page_size);
        let mut image = vec![0; self.page_size as usize];
        for page in pages {
            match content.at(*page) {
                At::Below => continue,
                _ => self.read_at(content, *page, &mut image)?,
            }
            self.file.write(&image, u64::from(page - 1) * size).map_err(Error::vfs("write the database"))?;
            fault::place("wal checkpoint: one page");
            let failed = |source| Error::Io { action: "write", path: self.path.clone(), source };
            fault::failure("wal checkpoint: one page").map_err(failed)?;
        }
        if whole {
            self.file.truncate(u64::from(content.pages) * size).map_err(Error::vfs("cut the database"))?;
        }
        if self.synchronous != Synchronous::Off {
            self.file.sync().map_err(Error::vfs("sync the database"))?;
        }
        Ok(())
    }

    /// Begins the WAL anew, when the database file holds everything and no reader is in it. Its first frame is page
    /// 1 as it is, which stands for the present moment: marks of this state stay hot. Answers whether it did.
    ///
    /// First of all an era begins, if it is time for one. `patience`: how long to wait for writers.
    pub(crate) fn restart(&mut self, patience: Duration) -> Result<bool, Error> {
        match self.with_exclusive(WRITE, patience, "a writer is at work", Self::restart_under_write) {
            Err(Error::Busy { .. }) => Ok(false),
            Err(error) => {
                self.adrift = true;
                Err(error)
            }
            done => done,
        }
    }

    /// Takes what has come since the last back-fill; nobody can commit. `false`: a reader keeps it from that.
    fn takes_the_rest(&mut self, header: &super::index::IndexHeader) -> bool {
        let until = Instant::now() + WRITERS_WAIT;
        // What fails now is tried again, and calls report it.
        if self.drain_to(header, u32::MAX).is_err() {
            return false;
        }
        loop {
            match self.back_fill(header.max_frame) {
                Ok(true) => return true,
                Ok(false) if Instant::now() < until => std::thread::sleep(WRITERS_WAIT / 20),
                _ => return false,
            }
        }
    }

    pub(super) fn restart_under_write(&mut self) -> Result<bool, Error> {
        let Some(header) = self.index.watch().header() else { return Ok(false) };
        let due = self.store.era_is_due(self.object);
        if due && !self.takes_the_rest(&header) {
            return Ok(false);
        }
        let Some(frozen) = self.frozen else { return Ok(false) };
        if !self.freeze_holds(&header) || frozen.back_filled != header.max_frame {
            return Ok(false);
        }
        if self.lsn_now(&header)? != self.tailed {
            return Ok(false);
        }
        if due && self.begin_boundary(&header, &[]).is_err() {
            // The store is full, perhaps; the next commit reports it.
            return Ok(false);
        }
        self.release_slot()?;
        let alone = self.try_exclusive(READ1, 4);
        let mut mark = frozen.back_filled;
        let mut result = Ok(false);
        if matches!(alone, Ok(true)) {
            result = self.begin_generation(&header, frozen);
            mark = self.frozen.map_or(0, |frozen| frozen.back_filled);
            self.release_exclusive(READ1, 3)?;
            self.release_exclusive(READ4, 1)?;
        }
        self.hold_slot(mark, self.timeout)?;
        alone?;
        result
    }

    fn begin_generation(&mut self, old: &super::index::IndexHeader, frozen: Frozen) -> Result<bool, Error> {
        let mut now = vec![0; self.page_size as usize];
        self.read_start(1, old.max_frame, &mut now)?;
        let present =
            crate::file::PageOne::read(&now).ok_or_else(|| Error::internal("page 1 has 100 bytes"))?;
        let one = self.fresh_page_one(now, present, old.pages)?;
        let [a, b, c, d, ..] = frozen.salt;
        let [p, q, r, s] = u32::from_be_bytes([a, b, c, d]).wrapping_add(1).to_be_bytes();
        let [t, u, v, w, ..] = fresh_bits().to_ne_bytes();
        let salt = [p, q, r, s, t, u, v, w];
        let wal_header = WalHeader {
            order: old.order,
            page_size: self.page_size,
            sequence: self.sequence.wrapping_add(1),
            salt,
        };
        let (bytes, seed) = wal_header.encode();
        let place = Place { after: 0, checksum: seed, order: old.order, salt };
        let (frame, checksum) = Self::one_frame(place, &one, old.pages);
        self.note_counters(&one);
        self.index.invalidate(&mut self.file);
        // Whoever reads the header from now on must know that LSNs are counted anew.
        self.sequence = wal_header.sequence;
        let note = RunNote { back_filled: 0, ..self.run_note(1, checksum, salt) };
        self.registers().announce_run(note.stamp(self.tailed.get()));
        fault::place("wal restart: header invalid");
        let written = self.wal.write_header(&bytes);
        fault::place("wal restart: new header");
        let written = written.and_then(|()| self.wal.write_frames(1, &frame));
        fault::place("wal restart: first frame");
        let written = written.and_then(|()| match self.synchronous {
            Synchronous::Off => Ok(()),
            _ => self.wal.sync(),
        });
        // After a failure the next reader recovers: whatever generation it finds holds what is below. For us it is as
        // after a kill.
        written?;
        self.index.enter(&mut self.file, 1, 1)?;
        let mut header = *old;
        header.salt = salt;
        header.set_page_size(self.page_size);
        self.index.set_back_filled(0);
        self.index.set_attempted(0);
        for (slot, mark) in [(1, 0), (2, UNUSED_MARK), (3, UNUSED_MARK), (4, 0)] {
            self.index.set_read_mark(slot, mark);
        }
        self.frozen = Some(Frozen { salt, back_filled: 0 });
        self.attempted = 0;
        self.publish(&header, 1, old.pages, checksum);
        fault::place("wal restart: published");
        self.record_run(self.tailed, &note)?;
        self.drop_anchor(1)?;
        Ok(true)
    }
}

/// Bits that differ from run to run: a restarted generation must not look like an older one.
fn fresh_bits() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
