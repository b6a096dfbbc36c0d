//! Making room at once, for an append that finds none: the background thread is too slow for a load that fills the store meanwhile.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::prepare::Outcome;
use crate::error::AppendError;
use crate::store::Store;
use crate::store::handle::Inner;

/// How long an append waits for room, if there may be some soon: for an era to be old enough, or for who is evicting already.
const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(3);
/// Of the limit, what is left to evictions, which cannot do without: they append what must survive.
const LEFT_TO_EVICTIONS: u64 = 16;
const MOST_LEFT: u64 = 1 << 20;

thread_local! {
    /// This thread has locks that an eviction takes.
    static UNFIT: Cell<bool> = const { Cell::new(false) };
    /// It is evicting.
    static EVICTS: Cell<bool> = const { Cell::new(false) };
    /// How many bytes it appends for that.
    static CARRIES: Cell<u64> = const { Cell::new(0) };
}

/// While it is there, this thread makes no room, and says that there is none.
#[derive(Debug)]
pub(in crate::store) struct Unfit {
    before: bool,
    evicts: bool,
}

impl Unfit {
    /// Of a thread that registers something.
    pub(in crate::store) fn to_evict() -> Self {
        Self { before: UNFIT.replace(true), evicts: EVICTS.get() }
    }

    /// Of one that is evicting. What is left to evictions is for it.
    pub(super) fn evicting() -> Self {
        CARRIES.set(0);
        Self { before: UNFIT.replace(true), evicts: EVICTS.replace(true) }
    }

    /// How much it is about to append: of what is left to evictions no more is taken, since anybody may use up a segment.
    pub(super) fn carries(bytes: u64) {
        CARRIES.set(bytes);
    }
}

impl Drop for Unfit {
    fn drop(&mut self) {
        UNFIT.set(self.before);
        EVICTS.set(self.evicts);
    }
}

impl Store {
    /// Moves on to the segment after a full one, as `Inner::roll`. If there is no room for it, and there may be when something is
    /// evicted, evicts it or waits for those who do.
    #[cold]
    pub(in crate::store) fn roll(&self, full: u32, len: u32) -> Result<(), AppendError> {
        let started = Instant::now();
        loop {
            match self.inner.roll(full, len) {
                Err(AppendError::Full { .. })
                    if !UNFIT.get() && started.elapsed() < PATIENCE && self.may_make_room(len) => {}
                other => return other,
            }
        }
    }

    /// Whether it is worth while to look again for room for a body of this length.
    fn may_make_room(&self, len: u32) -> bool {
        // Where nobody keeps the window, the log is somebody's who did not ask for anything to be evicted.
        let Some(alive) = self.inner.keeping.alive() else { return false };
        let room = self.inner.room_for(len);
        match self.evict_for(room, &**alive) {
            Ok(Outcome { evicted: true, .. }) => true,
            Ok(Outcome { soon: true, .. }) => {
                std::thread::sleep(STEP);
                true
            }
            // What is wrong there is not what the caller asked for.
            Ok(_) | Err(_) => false,
        }
    }
}

impl Inner {
    /// Bytes of the limit that are left to evictions. None where nobody keeps the window.
    pub(in crate::store) fn left_to_evictions(&self) -> u64 {
        if self.keeping.alive().is_none() { 0 } else { (self.limit() / LEFT_TO_EVICTIONS).min(MOST_LEFT) }
    }

    /// How much of that this thread needs, if it evicts.
    pub(in crate::store) fn needs_of_it() -> Option<u64> {
        EVICTS.get().then(|| CARRIES.get())
    }
}
