//! A new era within WAL mode, so that what is before it can be evicted some day (`rust/docs/window.md`).

use dbrewind_core::{Engine as EraEngine, Extent, Key, Need};

use std::time::{Duration, Instant};

use super::ahead::Beyond;
use super::core::Core;
use super::index::IndexHeader;
use super::without_room::TO_BEGIN;
use crate::engine::{append_boundary, locked};
use crate::error::Error;
use crate::fault;
use crate::notes::tag;

/// After a rewind another one is expected for so long.
const LATELY: Duration = Duration::from_secs(1);
/// A rewind looks at no more frames for an era, and records no more bytes of what they hold.
const MOST_FRAMES: u32 = 1200;
const MOST_BYTES: u64 = 8 << 20;

impl Core {
    /// What a rewind does last, when an era is due: begins it where the rewind has ended. WRITE and the object's lock are held.
    ///
    /// Nothing is brought into the database file for it if that can be spared. What fails is left to the tail.
    pub(super) fn begin_era_after_rewind(&mut self) {
        self.rewound = Some(Instant::now());
        if self.adrift || self.holder.is_none() || !self.store.era_is_due_after_commit(self.object) {
            return;
        }
        let Some(header) = self.index.watch().header() else { return };
        if self.lsn_now(&header).ok() != Some(self.tailed) {
            return;
        }
        if !matches!(self.begin_era_above(&header), Ok(true)) && self.store.era_is_overdue(self.object) {
            // As after a kill: the next call finds out what holds.
            self.adrift |= self.restart_under_write().is_err();
        }
    }

    /// Whether the tail leaves an era that is due to the next rewind, at which it costs least.
    pub(super) fn leaves_era_to_rewind(&self) -> bool {
        self.rewound.is_some_and(|at| at.elapsed() < LATELY) && !self.store.era_is_overdue(self.object)
    }

    /// Whether an era that the tail begins leaves room for what is said at the end of the recording. In a full store both take of what is left
    /// to evictions, each with page 1 as it was before; and as long as a pin keeps what is before it an era makes no room.
    pub(super) fn era_leaves_room_to_end(&self) -> bool {
        let ends = self.page_size.saturating_mul(4).saturating_add(TO_BEGIN);
        !self.store.is_short_of_room()
            || self.store.has_room_in_need(Need::Keep, ends)
            || self.store.pins().is_empty()
    }

    /// How many frames beyond those in the database file do not keep a rewind from beginning an era.
    pub(super) fn frames_for_an_era() -> u32 {
        MOST_FRAMES / 2
    }

    /// Begins an era at the WAL's end, above frames that are not in the database file. Answers whether it did: not if there are many.
    ///
    /// What these frames hold is recorded, as the bases of the new era; and what is below them, if it is not yet, as bases of the present
    /// one, since a moment without a base in its own era is looked up in the next one's.
    fn begin_era_above(&mut self, header: &IndexHeader) -> Result<bool, Error> {
        let Some(frozen) = self.frozen else { return Ok(false) };
        let frames = header.max_frame.saturating_sub(frozen.back_filled);
        if !self.freeze_holds(header) || self.attempted > frozen.back_filled || frames > MOST_FRAMES {
            return Ok(false);
        }
        let content = self.content(frozen.back_filled + 1, header.max_frame)?;
        if content.pages != header.pages {
            return Ok(false);
        }
        let pages = self.pages_to_write(&content)?;
        let cut = self.pages_in_file()?.saturating_sub(content.pages);
        let bytes = 2 * (pages.len() as u64 + u64::from(cut)) * u64::from(self.page_size);
        if bytes > MOST_BYTES.min(self.store.era_may_take() / 4) {
            return Ok(false);
        }
        self.save_bases(&pages, Some(content.pages))?;
        fault::place("wal boundary: bases saved");
        let mut bases = Vec::with_capacity(pages.len());
        for page in pages {
            let mut image = vec![0; self.page_size as usize];
            self.read_at(&content, page, &mut image)?;
            bases.push((Key::new(u64::from(page)), image));
        }
        self.begin_boundary(header, &bases)
    }

    /// Begins an era at the WAL's end. Everything up to there is recorded, and in the database file but for `bases`, which stand for
    /// it; WRITE and the object's lock are held. Answers whether it did.
    pub(super) fn begin_boundary(
        &mut self,
        header: &IndexHeader,
        bases: &[(Key, Vec<u8>)],
    ) -> Result<bool, Error> {
        // The anchor before stays good until this one is there.
        let Some((anchor, settled)) = self.anchor_at(header.max_frame, false, false)? else {
            return Ok(false);
        };
        let run = self.run_note(header.max_frame, header.checksum, header.salt);
        let lsn = locked(&self.history).boundary_lsn()?;
        fault::place("wal boundary: numbered");
        let notes = [(tag::RUN, run.encode()), (tag::ANCHOR, anchor.encode())];
        // Whoever numbers a commit from now on must know that LSNs are counted anew: a kill may come before the records are
        // there, and a commit right after them.
        let registers = self.registers();
        let before = registers.newest_run();
        registers.announce_run(run.stamp(lsn.get()));
        fault::place("wal boundary: announced");
        let era = (EraEngine::Wal, lsn, Extent::new(self.extent));
        if let Err(error) = append_boundary(&self.store, self.object, era, bases, &notes) {
            registers.announce_run(before);
            return Err(error.into());
        }
        fault::place("wal boundary: recorded");
        // Images of a transaction that came to nothing have the numbers of the era before.
        self.beyond = Beyond::default();
        (self.anchor_pending, self.anchor_frame) = (!settled, header.max_frame);
        self.catch_up()?;
        Ok(true)
    }
}
