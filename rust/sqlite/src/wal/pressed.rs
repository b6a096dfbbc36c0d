//! A load that fills a small store faster than eras begin: writers wait, so that what is to be recorded stays less than what there is
//! room for (`rust/docs/window.md`, "No room all the same").

use std::time::{Duration, Instant};

use dbrewind_core::Lsn;

use super::core::Core;
use super::index::IndexHeader;
use super::locks::WRITE;
use crate::engine::locked;

/// Bytes around each image in the store, and then some for commits.
const AROUND: u64 = 64;
/// How long a gap between two commits is looked for: a writer that commits in a loop leaves hardly any.
const PATIENCE: Duration = Duration::from_millis(50);
/// A writer that has not committed for so long is left alone: there is nothing to record meanwhile.
const LONG: Duration = Duration::from_millis(10);
/// How long until it is tried again after it was in vain: when somebody writes for long; when a reader keeps the file as it is.
const WRITER: Duration = Duration::from_millis(5);
const READER: Duration = Duration::from_secs(1);

impl Core {
    /// Whether what is not in the store yet should not become more. What a back-fill will replace in the file goes there, too.
    pub(super) fn is_pressed(&self, header: &IndexHeader) -> bool {
        if self.store.broken(self.object).is_some() {
            return false;
        }
        let behind = |done: u32| u64::from(header.max_frame.saturating_sub(done));
        let recorded = self.runs.frame_of(self.tailed, header.max_frame).unwrap_or(header.max_frame);
        let back_filled = self.frozen.map_or(header.max_frame, |frozen| frozen.back_filled);
        let frames = behind(recorded) + behind(back_filled);
        self.store.is_pressed(self.object, frames * (self.wal.frame_len() as u64 + AROUND))
            // What a pin keeps no era sets free, and each one takes room.
            && !locked(&self.history).timeline.marks().any(|mark| mark.pinned && !mark.lost)
    }

    /// Records everything while nobody can commit, and begins an era behind it. Answers how long not to try that again: not at
    /// all if one has begun. The object's lock is held.
    pub(super) fn relieve(&mut self) -> Option<Duration> {
        let before = self.era_first();
        if !self.finds_a_gap() {
            return Some(WRITER);
        }
        self.writing = true;
        let done = self.restart_under_write(true);
        self.writing = false;
        let given_back = self.release_exclusive(WRITE, 1);
        // What fails shows in the drain that follows.
        self.adrift |= done.is_err() || given_back.is_err();
        (self.era_first() == before).then_some(READER)
    }

    /// Takes WRITE, without a pause as long as commits come.
    fn finds_a_gap(&mut self) -> bool {
        let watch = self.index.watch();
        let started = Instant::now();
        let (mut end, mut committed) = (watch.pulse(), started);
        while !matches!(self.try_exclusive(WRITE, 1), Ok(true)) {
            let (pulse, now) = (watch.pulse(), Instant::now());
            if pulse != end {
                (end, committed) = (pulse, now);
            }
            if now - committed > LONG || now - started > PATIENCE {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }

    fn era_first(&self) -> Option<Lsn> {
        locked(&self.history).timeline.era().map(|era| era.first)
    }
}
