//! Waiting for SQLite's locks on the database file: bounded, and naming who is in the way.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use dbrewind_core::Patience;

use super::holders::Doing;
use super::{holders, registry};
use crate::error::Error;
use crate::ffi::{HostFile, LockLevel, VfsError};
use crate::file::FileId;

/// How long an operation waits for locks altogether.
#[derive(Debug)]
pub(crate) struct Wait {
    file: FileId,
    started: Instant,
    timeout: Duration,
    patience: RefCell<Patience>,
}

impl Wait {
    /// From now on.
    pub(crate) fn new(file: FileId, timeout: Duration) -> Self {
        Self { file, started: Instant::now(), timeout, patience: RefCell::default() }
    }

    /// What is left of the time.
    pub(crate) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }

    /// An error when the time is over, or the caller wants to end the wait.
    pub(crate) fn check(&self, waiting_for: &str) -> Result<(), Error> {
        self.check_for(waiting_for, None)
    }

    fn check_for(&self, waiting_for: &str, wanted: Option<Doing>) -> Result<(), Error> {
        if self.left().is_zero() {
            let what = format!("cannot wait longer for {waiting_for}");
            return Err(self.busy(&what, wanted, self.started.elapsed()));
        }
        if self.patience.try_borrow_mut().is_ok_and(|mut patience| patience.is_over()) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// After a refusal: an error when the time is over, or when the calling thread itself is in the way, since it cannot
    /// give way while it waits here.
    fn refused(&self, waiting_for: &str, wanted: Doing) -> Result<(), Error> {
        let mine = registry::held_here(self.file).mine;
        if mine > 0 && Doing::of_level(mine) >= wanted {
            let what = format!("this thread itself is in the way, so it cannot wait for {waiting_for}");
            return Err(self.busy(&what, Some(wanted), Duration::ZERO));
        }
        self.check_for(waiting_for, Some(wanted))
    }

    fn busy(&self, what: &str, wanted: Option<Doing>, waited: Duration) -> Error {
        Error::Busy {
            what: what.to_owned(),
            holder: holders::describe(self.file, registry::held_here(self.file), wanted),
            waited,
        }
    }
}

/// Pauses of 20 us, doubling to 2 ms.
struct Pause(Duration);

impl Pause {
    fn new() -> Self {
        Self(Duration::from_micros(20))
    }

    fn sleep(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(Duration::from_millis(2));
    }
}

/// Takes SHARED.
pub(crate) fn shared(file: &mut HostFile, wait: &Wait) -> Result<(), Error> {
    let mut pause = Pause::new();
    loop {
        match file.lock(LockLevel::Shared) {
            Ok(()) => return Ok(()),
            Err(VfsError::Busy) => wait.refused("the database to be readable", Doing::Writing)?,
            Err(error) => return Err(Error::vfs("lock the database for reading")(error)),
        }
        pause.sleep();
    }
}

/// Takes SHARED and RESERVED. While another connection has RESERVED it needs our SHARED away to commit:
/// we never wait with it.
pub(crate) fn reserved(file: &mut HostFile, wait: &Wait) -> Result<(), Error> {
    let mut pause = Pause::new();
    loop {
        shared(file, wait)?;
        match file.lock(LockLevel::Reserved) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let _ = file.unlock(LockLevel::None);
                match error {
                    VfsError::Busy => wait.refused("the writer to finish", Doing::InATransaction)?,
                    error => return Err(Error::vfs("lock the database for writing")(error)),
                }
            }
        }
        pause.sleep();
    }
}

/// From RESERVED to EXCLUSIVE. PENDING, once taken, is kept between the tries: it keeps new readers out, so
/// that a stream of them cannot starve us. On an error the caller still holds what it got.
pub(crate) fn exclusive(file: &mut HostFile, wait: &Wait) -> Result<(), Error> {
    let mut pause = Pause::new();
    loop {
        match file.lock(LockLevel::Exclusive) {
            Ok(()) => return Ok(()),
            Err(VfsError::Busy) => wait.refused("the readers to finish", Doing::Reading)?,
            Err(error) => return Err(Error::vfs("lock the database exclusively")(error)),
        }
        pause.sleep();
    }
}
