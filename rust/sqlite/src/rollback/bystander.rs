//! Looking at the file in a rollback mode without a lock: has somebody written to it whom nobody records?

use std::path::Path;

use dbrewind_core::{ObjectId, Store};

use super::settle;
use super::{journal, registry};
use crate::error::Error;
use crate::exclusion::Exclusion;
use crate::ffi::{HostFile, LockLevel, VfsError};
use crate::file::{FileId, Header, read_padded};
use crate::registers::Registers;

/// From RESERVED on a connection may be about to write.
const RESERVED: i32 = 2;

/// What can be said of everything that was written to the file up to now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// Whoever wrote saved what was there before, and the log has it.
    Recorded,
    /// Somebody is in the midst of something: ask again.
    Unsure,
    /// A change that nobody recorded is in the file.
    Unrecorded,
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bystander<'a> {
    pub(crate) store: &'a Store,
    pub(crate) object: ObjectId,
    pub(crate) id: FileId,
    pub(crate) path: &'a Path,
    pub(crate) exclusion: &'a Exclusion,
}

impl Bystander<'_> {
    /// To be asked *after* the read that it is about; the log is to be read after it (`as-of.md`, "Rollback modes").
    pub(crate) fn look(&self, file: &mut HostFile) -> Result<Seen, Error> {
        let registers = Registers::new(self.store, self.object);
        let before = (registers.in_flight(), registers.counter());
        let mut start = [0; Header::LEN];
        read_padded(file, &mut start, 0).map_err(Error::vfs("read page 1"))?;
        let there = Header::parse(&start).map_or(0, |header| header.counter);
        let reserved = file.reserved_elsewhere().map_err(Error::vfs("look for a writer"))?;
        let (in_flight, known) = (registers.in_flight(), registers.counter());
        if before != (in_flight, known) {
            return Ok(Seen::Unsure);
        }
        match in_flight {
            // Its images are in the log before its bytes are in the file.
            Some(_) if reserved => Ok(Seen::Recorded),
            Some(_) => self.after_a_death(there),
            None if there != known => Ok(Seen::Unrecorded),
            None if reserved && !self.is_ours() => Self::is_anybody_writing(file),
            None => Ok(Seen::Recorded),
        }
    }

    /// Whether a connection of this process through the shim, or a rewind of ours, has RESERVED. It announces a change
    /// before its first byte.
    fn is_ours(&self) -> bool {
        let here = registry::held_here(self.id);
        here.mine.max(here.others) >= RESERVED || self.exclusion.is_rewinding()
    }

    /// Another process may write, and has announced nothing. Either it is recorded and has not begun, or it is not.
    fn is_anybody_writing(file: &mut HostFile) -> Result<Seen, Error> {
        match file.lock(LockLevel::Shared) {
            Ok(()) => {
                let _ = file.unlock(LockLevel::None);
                // Nobody has EXCLUSIVE, without which nothing is written; had it been written before, somebody would have
                // it still, or the counter would tell.
                Ok(Seen::Recorded)
            }
            Err(VfsError::Busy) => Ok(Seen::Unsure),
            Err(error) => Err(Error::vfs("lock the database for reading")(error)),
        }
    }

    /// A recorded writer died.
    fn after_a_death(&self, there: u32) -> Result<Seen, Error> {
        let journal = journal::path_for(self.path);
        let io = |source| Error::Io { action: "look at", path: journal.clone(), source };
        // Until it is played back nobody else writes.
        if journal::is_hot(&journal).map_err(io)? {
            return Ok(Seen::Recorded);
        }
        let registers = Registers::new(self.store, self.object);
        let explained = settle::outcome(registers.in_flight(), registers.counter(), there).is_some();
        Ok(if explained { Seen::Recorded } else { Seen::Unrecorded })
    }
}
