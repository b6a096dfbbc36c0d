//! Making room at once, for an append that finds none: the background thread is too slow for a load that fills the store meanwhile.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::need::Need;
use super::prepare::Outcome;
use crate::error::AppendError;
use crate::segment::Segment;
use crate::store::Store;
use crate::store::handle::Inner;

/// How long an append waits for room, if there may be some soon: for an era to be old enough, or for who is evicting already.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(3);
/// Of the limit, what is left to evictions, which cannot do without: they append what must survive.
const LEFT_TO_EVICTIONS: u64 = 16;
const MOST_LEFT: u64 = 1 << 20;

thread_local! {
    /// This thread has locks that an eviction takes.
    static UNFIT: Cell<bool> = const { Cell::new(false) };
    /// It is evicting.
    static EVICTS: Cell<bool> = const { Cell::new(false) };
    /// How long it may wait.
    static MAY_WAIT: Cell<Duration> = const { Cell::new(PATIENCE) };
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

/// While it is there, appends of this thread wait for room no longer than it says.
#[derive(Debug)]
#[must_use = "dropping it lets appends wait again"]
pub struct Hurry {
    before: Duration,
}

impl Hurry {
    /// Each append waits for `longest` at most, or for less if that was said already. What may be evicted at once each evicts in any case. For
    /// who holds what others wait for.
    pub fn appends_wait_for(longest: Duration) -> Self {
        let before = MAY_WAIT.get();
        MAY_WAIT.set(before.min(longest));
        Self { before }
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        MAY_WAIT.set(self.before);
    }
}

/// Whether an append that has looked this often, and began then, looks once more. One in need has looked for as long without its need.
fn may_wait(looks: u32, started: Instant) -> bool {
    !UNFIT.get() && Need::of_this_thread().is_none() && (looks == 0 || started.elapsed() < MAY_WAIT.get())
}

impl Store {
    /// Moves on to the segment after a full one, as `Inner::roll`. If there is no room for it, and there may be when something is
    /// evicted, evicts it or waits for those who do.
    #[cold]
    pub(in crate::store) fn roll(&self, full: u32, len: u32) -> Result<(), AppendError> {
        self.roll_filling(full, len, &mut |_| {})
    }

    /// The same; a new segment `fill` gets before anybody else can append to it, as `Inner::roll`.
    #[cold]
    pub(in crate::store) fn roll_filling(
        &self,
        full: u32,
        len: u32,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<(), AppendError> {
        let started = Instant::now();
        let mut looks = 0;
        loop {
            match self.inner.roll(full, len, fill) {
                Err(AppendError::Full { .. }) if may_wait(looks, started) && self.may_make_room(len) => {
                    looks = 1
                }
                other => return other,
            }
        }
    }

    /// Whether the next two segments have no room.
    #[must_use]
    pub fn is_short_of_room(&self) -> bool {
        let room = self.room();
        !self.inner.forked() && room.used.saturating_add(self.inner.reserve()) > room.limit
    }

    /// Evicts what may go for them, or waits for those who do and for an era to be old enough. Answers whether anything was evicted.
    /// The caller holds none of the store's locks.
    pub fn make_room(&self) -> bool {
        let started = Instant::now();
        let segments = self.room().used;
        while self.is_short_of_room() && started.elapsed() < PATIENCE {
            if !self.may_make_room_of(self.inner.reserve()) {
                break;
            }
        }
        self.room().used < segments
    }

    /// Whether it is worth while to look again for room for a body of this length.
    pub(super) fn may_make_room(&self, len: u32) -> bool {
        self.may_make_room_of(self.inner.room_for(len))
    }

    /// The same for so many bytes.
    fn may_make_room_of(&self, room: u64) -> bool {
        // Where nobody keeps the window, the log is somebody's who did not ask for anything to be evicted.
        let Some(alive) = self.inner.keeping.alive() else { return false };
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

/// How much of a limit is left to evictions, in a process that keeps the window.
pub(super) fn left_of(limit: u64) -> u64 {
    (limit / LEFT_TO_EVICTIONS).min(MOST_LEFT)
}

impl Inner {
    /// Bytes of the limit that are left to evictions. None where nobody keeps the window.
    pub(in crate::store) fn left_to_evictions(&self) -> u64 {
        if self.keeping.alive().is_none() { 0 } else { left_of(self.limit()) }
    }

    /// How much of that this thread needs, and how much of it must stay; `None`: it is not for this thread.
    pub(in crate::store) fn needs_of_it(&self) -> Option<(u64, u64)> {
        if EVICTS.get() {
            return Some((CARRIES.get(), 0));
        }
        Need::of_this_thread().map(|need| (0, need.leaves(self.left_to_evictions())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::window::need::in_need;

    #[test]
    fn hazard_an_append_in_need_waits_for_room_twice() {
        let mut waits = Vec::new();
        let refused: Result<(), AppendError> = in_need(Need::Keep, || {
            waits.push(may_wait(0, Instant::now()));
            Err(AppendError::Full { path: "/s".into(), why: String::new() })
        });
        assert!(refused.is_err());
        assert_eq!(waits, [true, false]);
        assert!(may_wait(0, Instant::now()), "nobody is in need any more");
    }

    #[test]
    fn hazard_an_append_waits_for_room_while_others_wait_for_it() {
        let before = |millis| Instant::now().checked_sub(Duration::from_millis(millis)).unwrap();
        assert!(may_wait(1, before(100)));
        let hurry = Hurry::appends_wait_for(Duration::from_millis(50));
        assert!(!may_wait(1, before(100)));
        let longer = Hurry::appends_wait_for(PATIENCE);
        assert!(!may_wait(1, before(100)), "the shorter one holds");
        drop(longer);
        assert!(may_wait(0, before(100)), "it does not try at all");
        drop(hurry);
        assert!(may_wait(1, before(100)));
        assert!(!may_wait(1, before(3000)));
    }
}
