//! A store without room for a recording to begin: what is looked at before, and what is said instead.

use std::time::{Duration, Instant};

use dbrewind_core::{Engine as EraEngine, Need};

use super::anchor::Kept;
use super::core::Core;
use crate::engine::locked;
use crate::error::{Error, Without};

/// Bytes of the notes with which a recording begins, and then some.
pub(super) const TO_BEGIN: u32 = 1 << 10;

impl Core {
    /// Whether there seems to be room for the notes with which a recording begins; and for page 1, which is saved at the latest when the WAL's
    /// first frame is brought into the file at the end, unless the recording itself can make room: while a mark is pinned it may not.
    pub(super) fn has_room_to_begin(&self) -> bool {
        let has_room = |bytes| self.store.has_room_in_need(Need::Keep, bytes);
        has_room(TO_BEGIN)
            && (has_room(self.page_size.saturating_add(TO_BEGIN)) || self.store.pins().is_empty())
    }

    pub(super) fn refuse_for_room(&mut self) -> Error {
        self.without_room = Some(Instant::now());
        match self.store.broken(self.object) {
            Some(code) => Error::stopped(&self.store, code),
            None => {
                let without = match self.waiting() {
                    0 => Without::Recording,
                    bytes => Without::Waiting(bytes),
                };
                Error::no_room(&self.store, without)
            }
        }
    }

    /// Bytes of the WAL that are committed and not recorded, if the history could go on with them. Without the freeze, so that it may be
    /// otherwise in a moment.
    fn waiting(&mut self) -> u64 {
        let Some(header) = self.index.watch().settled_header() else { return 0 };
        if self.found_lost || self.catch_up().is_err() {
            return 0;
        }
        // Of a WAL that nobody knows all of it; but for a single frame, which may be our own.
        let recorded = match header.salt == self.runs.salt() {
            true => self.runs.frame_of(self.tailed, header.max_frame).unwrap_or(0),
            false => 1,
        };
        u64::from(header.max_frame.saturating_sub(recorded)) * self.wal.frame_len() as u64
    }

    /// Whether nobody records, and what is recorded cannot be reached any more: others go on to write, and may bring into the file what
    /// nobody has recorded.
    pub(super) fn is_lost_by_now(&mut self) -> bool {
        match self.store.try_hold(self.object) {
            Ok(Some(_role)) => {
                if let Ok(_object) = self.lock_object(Duration::ZERO) {
                    self.found_lost = self.seems_lost();
                }
                self.found_lost
            }
            // Whoever records has seen to it.
            Ok(None) => false,
            Err(_) => self.found_lost,
        }
    }

    /// Whether it looks as if history could not go on: without the freeze, so that it may be otherwise in a moment.
    pub(super) fn seems_lost(&mut self) -> bool {
        if self.catch_up().is_err() {
            return false;
        }
        self.found_bare = self.bare_salt().or(self.found_bare);
        let ours = locked(&self.history).timeline.era().is_some_and(|era| era.engine == EraEngine::Wal);
        let Some(header) = self.index.watch().settled_header() else { return false };
        !ours || matches!(self.compare_anchor(&header), Ok(Kept::Lost))
    }
}
