//! The numbers by which SQLite says that a call has failed.

use dbrewind_core::Code;

/// A result code of SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SQLite result code {0}")]
pub struct SqliteCode(pub i32);

impl SqliteCode {
    /// The stable number: SQLite's primary result codes that have one of ours, else `DBR025`.
    #[must_use]
    pub fn code(self) -> Code {
        match self.0 & 0xff {
            3 | 8 => Code::NotWritable,
            5 | 6 => Code::Busy,
            13 => Code::StoreFull,
            14 => Code::FileMissing,
            26 => Code::NotADatabase,
            _ => Code::Io,
        }
    }

    /// What helps, where the number alone tells.
    pub(super) fn help(self) -> &'static str {
        match self.0 & 0xff {
            3 | 8 => {
                " (it may not be written); check owner and mode of the database, of its -wal and -shm, and of the folder"
            }
            10 => {
                " (it could not read or write the database, its -wal or its -shm); look at the disk, and what the system's log says of it"
            }
            11 => {
                " (the database is malformed); see what PRAGMA integrity_check says, and put back a copy that is whole"
            }
            13 => {
                " (the disk is full, or the user's share of it); free some of the disk that the database is on, and try again"
            }
            14 => {
                " (it cannot be opened); check the path, and that SQLite may create files in the database's folder"
            }
            _ => "",
        }
    }
}
