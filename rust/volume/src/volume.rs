//! The handle: what it holds, and the small calls.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dbrewind_core::{Extent, Head, Key, Kind, Lsn, ObjectId, Presence, Store, Timeline};

use crate::blocks::KeySet;
use crate::content::Content;
use crate::error::Error;
use crate::medium::Storage;
use crate::options::{AttachOptions, Synchronous};
use crate::registers::Registers;

/// A recorded volume, for as long as this lives. Any thread may call it; the engine's lock orders the calls that ask for it.
///
/// Order of locks, for us and for engines: the object's in the store, the engine's, `state`, `history`.
pub struct Volume {
    pub(crate) store: Store,
    pub(crate) object: ObjectId,
    pub(crate) content: Content,
    pub(crate) timeout: Duration,
    synchronous: Synchronous,
    name: String,
    history: Mutex<Timeline>,
    state: Mutex<State>,
    closed: AtomicBool,
    /// Keeps others from attaching another content; until it is detached.
    presence: Mutex<Option<Presence>>,
    process: u32,
}

/// What this handle knows of the present change.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// What `captured` is about.
    pub(crate) boundary: Lsn,
    /// The keys that have an image above the boundary.
    pub(crate) captured: KeySet,
    /// This handle has announced a change, and not committed it.
    pub(crate) writing: bool,
    /// How often anybody had rewound when the engine last heard of it.
    pub(crate) rewinds: u64,
    /// Room for a block.
    pub(crate) image: Vec<u8>,
}

/// The engine's lock, while we hold it.
pub(crate) struct Locked<'a>(&'a dyn Storage);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume")
            .field("name", &self.name)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl Volume {
    /// A handle that has looked at nothing yet.
    pub(crate) fn new(
        store: Store,
        presence: Presence,
        name: &str,
        content: Content,
        options: &AttachOptions,
    ) -> Self {
        let object = presence.object();
        Self {
            store,
            object,
            presence: Mutex::new(Some(presence)),
            content,
            timeout: options.timeout,
            synchronous: options.synchronous,
            name: name.to_owned(),
            history: Mutex::new(Timeline::lazy(object)),
            state: Mutex::default(),
            closed: AtomicBool::new(false),
            process: std::process::id(),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of its blocks, in bytes; 0 if it has records under keys.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.content.block_size()
    }

    pub(crate) fn registers(&self) -> Registers<'_> {
        Registers::new(&self.store, self.object)
    }

    pub(crate) fn head(&self, kind: Kind, key: u64, lsn: Lsn) -> Head {
        Head::new(kind, self.object, Key::new(key), lsn)
    }

    /// A panic elsewhere does not spoil it: what it says is checked against the registers at each use.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is read anew from the store after a failure.
    pub(crate) fn history(&self) -> MutexGuard<'_, Timeline> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a handle that is none any more.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.process != std::process::id() {
            return Err(Error::Forked);
        }
        // Relaxed: a hint for those who call at the same time as `detach`, which they may precede.
        if self.closed.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Refuses when recording has stopped.
    pub(crate) fn check_recording(&self) -> Result<(), Error> {
        self.store.broken(self.object).map_or(Ok(()), |code| Err(Error::Stopped { code }))
    }

    /// Refuses where the calling thread has the engine's lock, before it is asked for, or anything that its holder might want.
    pub(crate) fn refuse_own_change(&self) -> Result<(), Error> {
        if self.content.storage().is_locked_here() { Err(Error::OwnChange) } else { Ok(()) }
    }

    /// Takes the engine's lock.
    pub(crate) fn lock(&self, timeout: Duration) -> Result<Locked<'_>, Error> {
        self.refuse_own_change()?;
        match self.content.storage().lock(timeout).map_err(Error::medium("lock the content"))? {
            true => Ok(Locked(self.content.storage())),
            false => Err(Error::Busy { what: "the engine's lock was not free", waited: timeout }),
        }
    }

    /// The length, in bytes.
    pub(crate) fn size(&self) -> Result<u64, Error> {
        self.content.size()
    }

    /// How many keys a content of this length has.
    pub(crate) fn extent(&self, size: u64) -> Extent {
        self.content.extent(size)
    }

    /// Whether syncs make sense, and are wanted.
    pub(crate) fn waits_for_disk(&self) -> bool {
        self.synchronous == Synchronous::Normal && self.content.storage().syncs()
    }

    pub(crate) fn sync_medium(&self) -> Result<(), Error> {
        self.content.storage().sync().map_err(Error::medium("sync the content"))
    }

    /// Reads the history as far as it is recorded; refuses when a part of it stays hidden behind a process that was stopped.
    pub(crate) fn catch_up(&self, history: &mut Timeline, timeout: Duration) -> Result<(), Error> {
        let started = std::time::Instant::now();
        while !history.catch_up_whole(&self.store)? {
            if started.elapsed() >= timeout {
                let what = "a process that was stopped in the midst of a record has not gone on";
                return Err(Error::Busy { what, waited: started.elapsed() });
            }
        }
        Ok(())
    }

    /// The newest moment: of the newest commit or rewind. A change that is under way, or that a dead process has left, is not in it.
    ///
    /// # Errors
    /// When the volume is detached or recording has stopped.
    pub fn now(&self) -> Result<Lsn, Error> {
        self.check()?;
        self.check_recording()?;
        Ok(self.store.last_lsn(self.object))
    }

    /// Ends recording here. Marks stay, if nobody writes until somebody attaches again, and if the content outlasts this process. A second
    /// time it does nothing.
    ///
    /// # Errors
    /// When what is in flight cannot be settled, or the disk fails: the handle is detached all the same, and the next attach decides.
    pub fn detach(&self) -> Result<(), Error> {
        if self.process != std::process::id() {
            return Err(Error::Forked);
        }
        // Relaxed: nothing is published by it; a call that runs at the same time comes before or after.
        if self.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let noted = self.note_rest();
        self.leave();
        noted
    }

    /// Others may attach another content.
    fn leave(&self) {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Others may attach along with it.
    pub(crate) fn admit_others(&self) -> Result<(), Error> {
        let presence = self.presence.lock().unwrap_or_else(PoisonError::into_inner);
        presence.as_ref().map_or(Ok(()), |presence| Ok(presence.admit_others()?))
    }

    /// Ends recording here without a call of the medium: nothing is noted, and what is in flight is left as by a process that was killed.
    /// A second time it does nothing.
    pub fn abandon(&self) {
        // Relaxed: as in `detach`.
        self.closed.store(true, Ordering::Relaxed);
        self.leave();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // There is no place for the error; `detach` has one. In the child of a fork nothing is ours.
        let _ = self.detach();
    }
}
