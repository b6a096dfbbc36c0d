//! The engine of a handle, and its change to another one when the journal mode changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dbrewind_core::lock_patiently;

use crate::engine::{Engine, JournalMode};
use crate::error::Error;
use crate::handover::Hook;
use crate::switch::{Context, follow, prepare};

/// Holds an engine from the open to the close of a handle.
#[derive(Default)]
pub(crate) struct Slot {
    /// `None` before the open is done, and after `close`.
    filled: Mutex<Option<Filled>>,
    /// Of the newest engine; apart, so that asking never waits for a rewind.
    journal: Mutex<Option<JournalMode>>,
}

struct Filled {
    engine: Box<dyn Engine>,
    context: Context,
}

impl Filled {
    /// Goes over to another engine if the database has left the present one's journal modes.
    fn follow(&mut self) -> Result<(), Error> {
        if self.engine.left() { follow(&mut self.engine, &self.context) } else { Ok(()) }
    }
}

impl Slot {
    fn filled(&self) -> MutexGuard<'_, Option<Filled>> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_journal(&self, filled: &Filled) {
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = Some(filled.engine.journal());
    }

    /// The open is done.
    pub(crate) fn fill(&self, engine: Box<dyn Engine>, context: Context) {
        let filled = Filled { engine, context };
        self.note_journal(&filled);
        *self.filled() = Some(filled);
    }

    /// The family of journal modes that is recorded, or was before the close.
    pub(crate) fn journal(&self) -> JournalMode {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(JournalMode::Rollback)
    }

    /// Runs a call of the engine that is right for the database's journal mode.
    pub(crate) fn with<T>(
        &self,
        run: &mut dyn FnMut(&mut dyn Engine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut slot = lock_patiently(&self.filled)?;
        let filled = slot.as_mut().ok_or(Error::Closed)?;
        filled.follow()?;
        self.note_journal(filled);
        let result = run(filled.engine.as_mut());
        if result.is_ok() || !filled.engine.left() {
            return result;
        }
        // Somebody switched in the middle of it.
        filled.follow()?;
        self.note_journal(filled);
        run(filled.engine.as_mut())
    }

    /// Runs a look of the engine that is there, which has to see for itself whether the database has left its journal modes.
    pub(crate) fn look<T>(
        &self,
        run: &mut dyn FnMut(&mut dyn Engine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut slot = lock_patiently(&self.filled)?;
        let filled = slot.as_mut().ok_or(Error::Closed)?;
        run(filled.engine.as_mut())
    }

    /// The same of an engine that nobody else is using just now; `false` if somebody is.
    pub(crate) fn glance(&self, run: &mut dyn FnMut(&mut dyn Engine) -> bool) -> bool {
        let Ok(mut slot) = self.filled.try_lock() else { return false };
        slot.as_mut().is_some_and(|filled| run(filled.engine.as_mut()))
    }

    /// Ends the recording, and does this before and after it. Again, or when it does not come to the end at all: nothing.
    pub(crate) fn close(&self, before: impl FnOnce(), after: impl FnOnce()) -> Result<(), Error> {
        let Some(mut filled) = lock_patiently(&self.filled)?.take() else { return Ok(()) };
        before();
        let followed = filled.follow();
        self.note_journal(&filled);
        let closed = filled.engine.close();
        drop(filled);
        after();
        followed.and(closed)
    }

    /// In the child of a fork: forgets the engine without ending anything.
    pub(crate) fn leave_to_parent(&self) {
        if let Ok(mut slot) = self.filled.try_lock() {
            std::mem::forget(slot.take());
        }
    }

    /// Follows a switch in a thread of its own: until then the WAL only grows, and other recording processes wait.
    pub(crate) fn hook(slot: &Arc<Self>) -> Hook {
        let slot = Arc::downgrade(slot);
        let process = std::process::id();
        Hook::new(prepare, move || {
            let slot = slot.clone();
            let run = move || {
                if std::process::id() == process
                    && let Some(slot) = slot.upgrade()
                    && let Some(filled) = slot.filled().as_mut()
                {
                    // What fails now is tried again by the next call, which reports it.
                    let _ = filled.follow();
                    slot.note_journal(filled);
                }
            };
            // Without a thread the next call does it.
            let _ = std::thread::Builder::new().name("dbrewind-switch".to_owned()).spawn(run);
        })
    }
}
