use std::ffi::{c_char, c_int};
use std::time::Duration;

use dbrewind_keeper::Choice;
use dbrewind_sqlite::{Journal, Moments, OpenOptions, RewindOptions, Synchronous};

use super::given::{CStruct, optional_path};
use super::sqlite::dbrewind_sqlite_api;
use crate::fault::Fault;

/// synchronous: nothing waits for the disk. For databases that are thrown away after the test.
pub const DBREWIND_SYNCHRONOUS_OFF: u32 = 1;
/// synchronous: a power cut leaves the database whole; the newest commits may go. The default.
pub const DBREWIND_SYNCHRONOUS_NORMAL: u32 = 2;
/// synchronous: a rewind is durable when it returns.
pub const DBREWIND_SYNCHRONOUS_FULL: u32 = 3;
/// journal: switch the database to WAL first, if it is in another mode. Marks stay.
pub const DBREWIND_JOURNAL_WAL: u32 = 1;
/// journal: switch the database to DELETE first, if it is in WAL mode. Possible while nobody else has it open.
pub const DBREWIND_JOURNAL_DELETE: u32 = 2;
/// engine: in this process if its SQLite is reached and is the only copy, else in a keeper. The default.
pub const DBREWIND_ENGINE_AUTO: u32 = 0;
/// engine: in this process.
pub const DBREWIND_ENGINE_INSIDE: u32 = 1;
/// engine: in a process of its own. WAL mode only.
pub const DBREWIND_ENGINE_KEEPER: u32 = 2;
/// moments: in a rollback mode marks and both ends of rewinds can be gone to. In WAL mode every commit can.
pub const DBREWIND_MOMENTS_MARKS: u32 = 1;
/// moments: every commit can, in the rollback modes, too.
pub const DBREWIND_MOMENTS_COMMITS: u32 = 2;
/// flags of dbrewind_options: in the rollback modes, connections are recorded only if they name the VFS "dbrewind".
pub const DBREWIND_NO_DEFAULT_VFS: u32 = 1;
/// flags of dbrewind_options: full segments of the store are not made smaller in the background.
pub const DBREWIND_NO_SEAL: u32 = 2;
/// flags of dbrewind_rewind_options: go to the earliest moment that can be reached if the target lies before it.
pub const DBREWIND_USE_EARLIEST: u32 = 1;

/// How a database is opened. Zero is the default everywhere.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_options {
    /// sizeof(dbrewind_options)
    pub size: usize,
    /// The program's SQLite. NULL: the one that the process shows.
    pub sqlite: *const dbrewind_sqlite_api,
    /// The store's folder. NULL: the one beside the database that has its name with "-rewind" behind it.
    pub store: *const c_char,
    /// The program dbrewind-keeper. NULL: looked for in PATH, when a keeper is needed.
    pub keeper: *const c_char,
    /// How long a call waits for a lock that somebody else holds, in ms. 0: 5000. Negative: not at all.
    pub timeout_ms: i64,
    /// Limit of the store in bytes, 1 MiB or more, from now on and for all who record into it. 0: as it is, 16 GiB in a new one.
    pub limit: u64,
    /// How far back the store shall reach, in seconds, from now on and for all. 0: as it is, 72 h in a new one.
    pub window_s: u64,
    /// DBREWIND_SYNCHRONOUS_...
    pub synchronous: u32,
    /// DBREWIND_JOURNAL_... 0: the database keeps its mode.
    pub journal: u32,
    /// DBREWIND_ENGINE_...
    pub engine: u32,
    /// DBREWIND_MOMENTS_..., from now on and for all. 0: as it is.
    pub moments: u32,
    /// DBREWIND_NO_DEFAULT_VFS | DBREWIND_NO_SEAL
    pub flags: u32,
    /// 0
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl CStruct for dbrewind_options {
    const NAME: &'static str = "dbrewind_options";
    const LEAST: usize = size_of::<Self>();
}

/// How to rewind. Zero is the default everywhere.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_rewind_options {
    /// sizeof(dbrewind_rewind_options)
    pub size: usize,
    /// How long to wait for others, in ms. 0: what the database was opened with. Negative: not at all.
    pub timeout_ms: i64,
    /// DBREWIND_USE_EARLIEST
    pub flags: u32,
    /// 0
    pub reserved: u32,
}

// SAFETY: numbers, the size first.
unsafe impl CStruct for dbrewind_rewind_options {
    const NAME: &'static str = "dbrewind_rewind_options";
    const LEAST: usize = size_of::<Self>();
}

/// What is set of both, or of none, as our own types have it.
pub(super) fn timeout(given: i64) -> Option<Duration> {
    (given != 0).then(|| Duration::from_millis(u64::try_from(given).unwrap_or(0)))
}

/// Refuses bits and fields that a later version may give a meaning.
pub(super) fn only(name: &str, given: u32, known: u32) -> Result<(), Fault> {
    if given & !known == 0 {
        return Ok(());
    }
    Err(Fault::invalid(format!("{name} is {given:#x}, of which this version knows {known:#x}")))
}

fn not_one_of(name: &str, given: u32, highest: u32) -> Fault {
    Fault::invalid(format!("{name} is {given}; it must be 0 to {highest}"))
}

impl dbrewind_options {
    /// # Safety
    /// Its strings are null or C strings.
    pub(super) unsafe fn read(&self) -> Result<OpenOptions, Fault> {
        only("flags", self.flags, DBREWIND_NO_DEFAULT_VFS | DBREWIND_NO_SEAL)?;
        only("reserved", self.reserved, 0)?;
        let defaults = OpenOptions::default();
        Ok(OpenOptions {
            // SAFETY: by contract.
            store: unsafe { optional_path(self.store, "store") }?,
            timeout: timeout(self.timeout_ms).unwrap_or(defaults.timeout),
            synchronous: match self.synchronous {
                0 => defaults.synchronous,
                DBREWIND_SYNCHRONOUS_OFF => Synchronous::Off,
                DBREWIND_SYNCHRONOUS_NORMAL => Synchronous::Normal,
                DBREWIND_SYNCHRONOUS_FULL => Synchronous::Full,
                other => return Err(not_one_of("synchronous", other, 3)),
            },
            journal: match self.journal {
                0 => None,
                DBREWIND_JOURNAL_WAL => Some(Journal::Wal),
                DBREWIND_JOURNAL_DELETE => Some(Journal::Delete),
                other => return Err(not_one_of("journal", other, 2)),
            },
            moments: match self.moments {
                0 => None,
                DBREWIND_MOMENTS_MARKS => Some(Moments::Marks),
                DBREWIND_MOMENTS_COMMITS => Some(Moments::Commits),
                other => return Err(not_one_of("moments", other, 2)),
            },
            default_vfs: self.flags & DBREWIND_NO_DEFAULT_VFS == 0,
            seal: self.flags & DBREWIND_NO_SEAL == 0,
            limit: (self.limit != 0).then_some(self.limit),
            window: (self.window_s != 0).then(|| Duration::from_secs(self.window_s)),
            ..defaults
        })
    }

    pub(super) fn choice(&self) -> Result<Choice, Fault> {
        match self.engine {
            DBREWIND_ENGINE_AUTO => Ok(Choice::Auto),
            DBREWIND_ENGINE_INSIDE => Ok(Choice::Inside),
            DBREWIND_ENGINE_KEEPER => Ok(Choice::Keeper),
            other => Err(not_one_of("engine", other, 2)),
        }
    }
}

impl dbrewind_rewind_options {
    pub(super) fn read(&self) -> Result<RewindOptions, Fault> {
        only("flags", self.flags, DBREWIND_USE_EARLIEST)?;
        only("reserved", self.reserved, 0)?;
        let use_earliest = self.flags & DBREWIND_USE_EARLIEST != 0;
        Ok(RewindOptions { timeout: timeout(self.timeout_ms), use_earliest })
    }
}

/// A truth value, as C has it.
pub(super) fn int(value: bool) -> c_int {
    c_int::from(value)
}
