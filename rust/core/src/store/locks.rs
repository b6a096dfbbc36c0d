use std::path::Path;
use std::time::Duration;

use crate::error::LockError;
use crate::map::{self, Held, Process};
use crate::store::Store;
use crate::types::ObjectId;

/// Its name in the store's folder.
pub(super) const FILE: &str = "locks";
/// Held while creating a store or a segment, and while opening.
pub(super) const CREATE: u32 = 0;
/// Held while registering an object. Taken before `CREATE`, never after it.
pub(super) const REGISTER: u32 = 1;
/// Held while sealing a segment. Taken before `CREATE`, never after it.
pub(super) const SEAL: u32 = 2;
/// Held while preparing to evict, and evicting. Taken before `REGISTER` and `CREATE`, never after them.
pub(super) const WINDOW: u32 = 3;
/// Held, shared, by those for whom nothing may be evicted.
pub(super) const WINDOW_HELD: u32 = 4;
const SLOTS_AT: u32 = 0x1000;
const OBJECTS_AT: u32 = 0x1_0000;
const HOLDERS_AT: u32 = 0x2_0000;
const ATTENDED_AT: u32 = 0x3_0000;

/// What a process does that holds a byte of the file `locks` for which others wait while they grow, seal or evict, in words; `None` for
/// every other byte.
fn what_lock_is_held_for(byte: u64) -> Option<&'static str> {
    Some(match u32::try_from(byte).ok()? {
        CREATE => "makes or drops a segment",
        REGISTER => "registers an object",
        SEAL => "seals a segment",
        WINDOW => "prepares to evict",
        WINDOW_HELD => "reads a past moment",
        _ => return None,
    })
}

/// The other processes that have the store in this folder open: those that record into it, or may at any moment. Those of other users are
/// left out unless this process may look.
#[must_use]
pub fn processes_at(folder: &Path) -> Vec<Process> {
    map::others_with(&folder.join(FILE), false, what_lock_is_held_for)
}

/// Of them those that were stopped, for which growing, sealing and evicting may wait.
pub(super) fn stopped_at(folder: &Path) -> Vec<Process> {
    map::others_with(&folder.join(FILE), true, what_lock_is_held_for)
}

/// The other processes that have this file open, whatever it is. As [`processes_at`], without what they hold.
#[must_use]
pub fn processes_with(file: &Path) -> Vec<Process> {
    map::others_with(file, false, |_| None)
}

/// The byte of a writer slot.
pub(super) fn slot_byte(slot: u16) -> u32 {
    SLOTS_AT + u32::from(slot)
}

/// The right to change an object's history beyond appending to it: a rewind, a drain, a checkpoint.
///
/// One at a time in all threads and processes. Dropping it, or the end of the process, releases it.
#[derive(Debug)]
#[must_use = "dropping the lock releases it"]
pub struct ObjectLock {
    object: ObjectId,
    _held: Held,
}

impl ObjectLock {
    /// Whose lock it is.
    #[must_use]
    pub fn object(&self) -> ObjectId {
        self.object
    }
}

/// The holder role of an object: one at a time in all threads and processes.
///
/// Dropping it, or the end of the process, gives the role up.
#[derive(Debug)]
#[must_use = "dropping the lock gives the role up"]
pub struct HolderLock {
    object: ObjectId,
    _held: Held,
}

impl HolderLock {
    /// Whose holder this is.
    #[must_use]
    pub fn object(&self) -> ObjectId {
        self.object
    }
}

/// Somebody's presence at an object. Dropping it, or the end of the process, ends it.
#[derive(Debug)]
#[must_use = "dropping it ends the presence"]
pub struct Presence {
    object: ObjectId,
    held: Held,
}

impl Presence {
    /// Lets others [attend](Store::attend) from now on, if nobody could.
    ///
    /// # Errors
    /// When the lock file cannot be locked.
    pub fn admit_others(&self) -> Result<(), LockError> {
        let io = |source| LockError::Io { action: "let others attend the object", source };
        self.held.admit_others().map_err(io)
    }

    /// Whose presence it is.
    #[must_use]
    pub fn object(&self) -> ObjectId {
        self.object
    }
}

impl Store {
    /// Attends an object, as any number may at a time. `None`: somebody was [alone](Self::attend_alone) with it all the time.
    ///
    /// # Errors
    /// See [`LockError`]; never `Busy`.
    pub fn attend(&self, object: ObjectId, timeout: Duration) -> Result<Option<Presence>, LockError> {
        self.presence(object, |path, byte| Held::share(path, byte, timeout))
    }

    /// Attends an object alone, until others are [admitted](Presence::admit_others). `None`: somebody attends it, in this process or
    /// another one.
    ///
    /// # Errors
    /// See [`LockError`]; never `Busy`.
    pub fn attend_alone(&self, object: ObjectId) -> Result<Option<Presence>, LockError> {
        self.presence(object, |path, byte| Held::take(path, byte, Duration::ZERO))
    }

    /// Whether somebody attends an object, in this process or another one.
    ///
    /// # Errors
    /// See [`LockError`]; never `Busy`.
    pub fn is_attended(&self, object: ObjectId) -> Result<bool, LockError> {
        if self.inner.forked() {
            return Err(LockError::Forked);
        }
        let io = |source| LockError::Io { action: "see who attends the object", source };
        self.inner.locks.locked_elsewhere(ATTENDED_AT + object.get(), 1).map_err(io)
    }

    fn presence(
        &self,
        object: ObjectId,
        take: impl FnOnce(&std::path::Path, u32) -> std::io::Result<Option<Held>>,
    ) -> Result<Option<Presence>, LockError> {
        if self.inner.forked() {
            return Err(LockError::Forked);
        }
        let io = |source| LockError::Io { action: "attend the object", source };
        let held = take(&self.inner.lock_path(), ATTENDED_AT + object.get()).map_err(io)?;
        Ok(held.map(|held| Presence { object, held }))
    }

    /// Takes the lock of an object, waiting at most `timeout` for it.
    ///
    /// It is not recursive: a thread that has it and asks again waits in vain.
    ///
    /// # Errors
    /// [`LockError::Busy`] when somebody else had it all the time; [`LockError::Interrupted`] when the caller
    /// [asked](crate::interruptible) to end the wait.
    pub fn lock_object(&self, object: ObjectId, timeout: Duration) -> Result<ObjectLock, LockError> {
        let io = |source| LockError::Io { action: "lock the object", source };
        let held = self.hold(OBJECTS_AT, object, timeout, io)?;
        held.map(|held| ObjectLock { object, _held: held }).ok_or(LockError::Busy { object, waited: timeout })
    }

    /// Takes the holder role of an object, or answers `None` at once when somebody has it.
    ///
    /// # Errors
    /// See [`LockError`]; never `Busy`.
    pub fn try_hold(&self, object: ObjectId) -> Result<Option<HolderLock>, LockError> {
        let io = |source| LockError::Io { action: "take the holder role", source };
        let held = self.hold(HOLDERS_AT, object, Duration::ZERO, io)?;
        Ok(held.map(|held| HolderLock { object, _held: held }))
    }

    fn hold(
        &self,
        base: u32,
        object: ObjectId,
        timeout: Duration,
        io: impl Fn(std::io::Error) -> LockError,
    ) -> Result<Option<Held>, LockError> {
        if self.inner.forked() {
            return Err(LockError::Forked);
        }
        if object.get() >= crate::format::control::OBJECTS {
            return Err(io(std::io::ErrorKind::InvalidInput.into()));
        }
        let gone = || LockError::Gone { path: self.dir().to_owned() };
        let held = self.inner.idle_locks.take(&self.inner.locks, base + object.get(), timeout);
        held.map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => gone(),
            std::io::ErrorKind::Interrupted => LockError::Interrupted { object },
            _ => io(source),
        })
    }

    /// Whether what is appended will be found by the next who opens the store: its folder is where it was.
    ///
    /// Takes a microsecond. Records go to the mapped files wherever they are, so that [`append`](Store::append) alone
    /// does not notice.
    ///
    /// # Errors
    /// [`LockError::Gone`] when it was removed, renamed or replaced.
    pub fn check_in_place(&self) -> Result<(), LockError> {
        if self.inner.forked() {
            return Err(LockError::Forked);
        }
        match self.inner.locks.is_at(&self.inner.lock_path()) {
            true => Ok(()),
            false => Err(LockError::Gone { path: self.dir().to_owned() }),
        }
    }
}
