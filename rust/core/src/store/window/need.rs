//! What has to be said although there is no room: without it a full store could not be cured (`rust/docs/window.md`, "No room all the same").

use std::cell::Cell;

use crate::error::AppendError;
use crate::format::span;
use crate::map;
use crate::store::handle::Inner;
use crate::store::roll::needed;
use crate::store::{Head, Location, Store};

/// What a record is for that may take of what is left to evictions. They keep half of that for themselves in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Need {
    /// To keep a history, or to begin one anew: up to a quarter, so that a mark can be dropped afterwards.
    Keep,
    /// To drop a mark, or to say what a thing is called by now: up to a half.
    Drop,
}

thread_local! {
    static NEED: Cell<Option<Need>> = const { Cell::new(None) };
}

/// While it is there, this thread appends in need.
#[derive(Debug)]
struct InNeed {
    before: Option<Need>,
}

impl Need {
    pub(super) fn of_this_thread() -> Option<Self> {
        NEED.get()
    }

    /// Of so many bytes that are left to evictions, how many must stay.
    pub(super) fn leaves(self, left: u64) -> u64 {
        match self {
            Self::Keep => left - left / 4,
            Self::Drop => left - left / 2,
        }
    }
}

impl Drop for InNeed {
    fn drop(&mut self) {
        NEED.set(self.before);
    }
}

impl Store {
    /// As [`append`](Self::append). Where that finds no room, the record takes of what is left to evictions, if this process keeps
    /// the window.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_in_need(&self, need: Need, head: Head, body: &[&[u8]]) -> Result<Location, AppendError> {
        in_need(need, || self.append(head, body))
    }

    /// As [`append_whole`](Self::append_whole), in need.
    pub(in crate::store) fn append_whole_in_need(
        &self,
        need: Need,
        records: &[(Head, &[u8])],
    ) -> Result<Location, AppendError> {
        in_need(need, || self.append_whole(records))
    }

    /// Whether there seems to be room for a record of this length, in need, without evicting anything: for who would begin something
    /// that is better not begun.
    #[must_use]
    pub fn has_room_in_need(&self, need: Need, len: u32) -> bool {
        let inner = &self.inner;
        if inner.forked() {
            return false;
        }
        inner.left_in_current() >= span(len) || inner.has_room_for_a_segment(need, len)
    }
}

impl Inner {
    fn has_room_for_a_segment(&self, need: Need, len: u32) -> bool {
        let used: u64 =
            (self.first()..=self.control.current()).filter_map(|id| self.len_on_disk(id).ok()).sum();
        let mine = self.limit().saturating_sub(need.leaves(self.left_to_evictions()));
        let wanted = needed(len);
        mine.saturating_sub(used) >= wanted && map::free_room(&self.dir).unwrap_or(u64::MAX) >= wanted
    }
}

/// Tries it as usual, which evicts what may go; then in need.
pub(in crate::store) fn in_need<T>(
    need: Need,
    mut append: impl FnMut() -> Result<T, AppendError>,
) -> Result<T, AppendError> {
    match append() {
        Err(AppendError::Full { .. }) => {
            let _need = InNeed { before: NEED.replace(Some(need)) };
            append()
        }
        other => other,
    }
}
