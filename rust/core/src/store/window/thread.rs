//! The thread that keeps the window.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Duration;

use super::keep::YOUNG;
use super::ledger::Ledger;
use super::prepare::Alive;
use crate::error::LockError;
use crate::map::{self, Held};
use crate::store::background::{Background, Stopped, Wishes};
use crate::store::handle::Inner;
use crate::store::roll::PATIENCE;
use crate::store::{Store, locks};

/// How often to look when the log has not moved on to another segment: eras may be needed, or time pass.
const SELDOM: u32 = 60;
/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(500);

/// What a process does for the window.
#[derive(Default)]
pub(crate) struct Keeping {
    /// Asked to look by `true`.
    background: Background<bool>,
    ledger: Mutex<Ledger>,
    alive: OnceLock<Arc<Alive>>,
}

/// While it is there, nothing is evicted, by whomever: for who reads old records for long.
#[derive(Debug)]
#[must_use = "dropping it lets records be evicted again"]
pub struct WindowHold {
    _held: Held,
}

impl Store {
    /// Keeps the window from now on, in the background, until the store is closed: see [`evict_some`](Self::evict_some). Does nothing if it
    /// is under way. Without a thread only who finds no room evicts. Where room is short something is evicted before this returns.
    pub fn keep_window(&self, alive: Arc<Alive>) {
        let inner = &self.inner;
        if inner.forked() {
            return;
        }
        let alive = inner.keeping.alive.get_or_init(|| alive).clone();
        if self.is_short_of_room() {
            // As a power cut may leave it: as long as there is room for what an eviction appends.
            let _ = self.evict_some(&*alive);
        }
        let store = Arc::downgrade(inner);
        let _ = inner.keeping.background.start("dbrewind-window", move |wishes| run(wishes, &store, &alive));
    }

    /// From now on appends of this process evict what may go when they find no room, and leave to evictions what those need. For who
    /// appends before [`keep_window`](Self::keep_window), or without its thread. `alive`: whether the thing of this name is still there; the
    /// first one that was given counts. Nothing is evicted yet.
    pub fn make_room_by(&self, alive: Arc<Alive>) {
        if !self.inner.forked() {
            self.inner.keeping.alive.get_or_init(|| alive);
        }
    }

    /// Keeps everybody from evicting anything while the answer is there.
    ///
    /// # Errors
    /// When the lock file cannot be locked.
    pub fn hold_window(&self) -> Result<WindowHold, LockError> {
        let inner = &self.inner;
        if inner.forked() {
            return Err(LockError::Forked);
        }
        let io = |source| LockError::Io { action: "hold the window", source };
        let held = Held::share(&inner.lock_path(), locks::WINDOW_HELD, PATIENCE).map_err(|source| {
            match source.kind() {
                std::io::ErrorKind::NotFound => LockError::Gone { path: self.dir().to_owned() },
                _ => io(source),
            }
        })?;
        let held = held.ok_or_else(|| io(std::io::ErrorKind::TimedOut.into()))?;
        Ok(WindowHold { _held: held })
    }
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeping").field("background", &self.background).finish_non_exhaustive()
    }
}

impl Keeping {
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless another thread has it.
    pub(super) fn ledger_at_once(&self) -> Option<MutexGuard<'_, Ledger>> {
        match self.ledger.try_lock() {
            Ok(ledger) => Some(ledger),
            Err(TryLockError::Poisoned(ledger)) => Some(ledger.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// What says whether a thing is still there, if somebody keeps the window.
    pub(super) fn alive(&self) -> Option<&Arc<Alive>> {
        self.alive.get()
    }

    /// The log has moved on to another segment, or an era has begun.
    pub(in crate::store) fn look(&self) {
        self.background.wish(|look| *look = true);
    }

    /// Ends the thread and waits for it, unless it is the thread itself that asks.
    pub(in crate::store) fn stop(&self) {
        self.background.stop();
    }
}

fn run(wishes: &Wishes<bool>, store: &Weak<Inner>, alive: &Arc<Alive>) -> Result<(), Stopped> {
    map::lower_priority();
    let mut known = 0;
    for round in 0_u32.. {
        let asked = wishes.next_within(LOOK, |look| std::mem::take(look).then_some(()))?.is_some();
        if asked {
            // By then an era that has just begun counts.
            wishes.rest(YOUNG)?;
        }
        let Some(inner) = store.upgrade() else { return Ok(()) };
        let current = inner.control.current();
        if asked || current != known || inner.control.wanted() > 0 || round.is_multiple_of(SELDOM) {
            known = current;
            // Nobody waits for this; what fails now is tried again.
            let _ = Store { inner }.evict_some(&**alive);
        }
    }
    Ok(())
}
