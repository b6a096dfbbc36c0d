use std::ffi::c_char;
use std::time::Duration;

use dbrewind_sqlite::{Lsn, Target, Timestamp};

use super::given::text;
use super::options::only;
use crate::fault::Fault;
use crate::registry::Entry;

/// A moment of one database. Grows with every commit and rewind of it, with gaps. May be stored.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_moment {
    /// Its number among the database's.
    pub lsn: u64,
    /// Stands for the database's path; a moment of another one is refused. 0: not known, not checked.
    pub database: u64,
}

impl dbrewind_moment {
    pub(super) fn new(entry: &Entry, lsn: Lsn) -> Self {
        Self::of(entry.database, lsn)
    }

    pub(super) fn of(database: u64, lsn: Lsn) -> Self {
        Self { lsn: lsn.get(), database }
    }
}

/// kind: the mark of the name `text`.
pub const DBREWIND_TO_MARK: u32 = 1;
/// kind: `text` as people write it.
pub const DBREWIND_TO_TEXT: u32 = 2;
/// kind: the moment of `number` and `database`.
pub const DBREWIND_TO_MOMENT: u32 = 3;
/// kind: the newest moment at or before the time `number`.
pub const DBREWIND_TO_TIME: u32 = 4;
/// kind: the newest moment at or before `number` nanoseconds ago.
pub const DBREWIND_TO_AGO: u32 = 5;
/// kind: the present.
pub const DBREWIND_TO_NOW: u32 = 6;

/// Where to. Made by dbrewind_to_mark() and its like. Passed by value; it never changes.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_target {
    /// DBREWIND_TO_...
    pub kind: u32,
    /// 0
    pub reserved: u32,
    /// What the kind says.
    pub number: u64,
    /// What the kind says.
    pub database: u64,
    /// What the kind says.
    pub text: *const c_char,
}

impl dbrewind_target {
    /// `None`: the present. `database`: whose moments are meant; `whose`: what it is, in words.
    ///
    /// # Safety
    /// Its text is null or a C string.
    pub(super) unsafe fn read(
        &self,
        database: u64,
        whose: impl FnOnce() -> String,
    ) -> Result<Option<Target>, Fault> {
        only("the target's reserved field", self.reserved, 0)?;
        Ok(Some(match self.kind {
            // SAFETY: by contract.
            DBREWIND_TO_MARK => Target::Name(unsafe { text(self.text, "the mark's name") }?.to_owned()),
            // SAFETY: by contract.
            DBREWIND_TO_TEXT => unsafe { text(self.text, "the target's text") }?.parse()?,
            DBREWIND_TO_MOMENT if self.database != 0 && self.database != database => {
                return Err(Fault::invalid(format!("this is a moment of another {}", whose())));
            }
            DBREWIND_TO_MOMENT => Target::Lsn(Lsn::new(self.number)),
            DBREWIND_TO_TIME => Target::Time(Timestamp::new(self.number)),
            DBREWIND_TO_AGO => Target::Ago(Duration::from_nanos(self.number)),
            DBREWIND_TO_NOW => return Ok(None),
            other => {
                return Err(Fault::invalid(format!(
                    "{other} is no kind of target; make one with dbrewind_to_mark() or its like"
                )));
            }
        }))
    }

    /// `None`: the present.
    ///
    /// # Safety
    /// As for [`read`](Self::read).
    pub(super) unsafe fn in_database(&self, entry: &Entry) -> Result<Option<Target>, Fault> {
        // SAFETY: by contract.
        unsafe { self.read(entry.database, || format!("database than {:?}", entry.handle.path())) }
    }

    /// With the moment of the newest commit for the present.
    ///
    /// # Safety
    /// As for [`read`](Self::read).
    pub(super) unsafe fn resolve(&self, entry: &Entry) -> Result<Target, Fault> {
        // SAFETY: by contract.
        match unsafe { self.in_database(entry) }? {
            Some(target) => Ok(target),
            None => Ok(Target::Lsn(entry.handle.now()?)),
        }
    }
}
