//! What kind of file it is, told by its first bytes.

use std::io::Read;
use std::path::Path;

use dbrewind_sqlite::{Code, JournalMode};

use crate::failure::Failure;

/// What the first bytes of a database say.
pub(crate) struct Header {
    pub(crate) journal: JournalMode,
    pub(crate) page_size: u32,
}

impl Header {
    /// Refuses what is no database.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            let code = match error.kind() {
                std::io::ErrorKind::NotFound => Code::FileMissing,
                std::io::ErrorKind::PermissionDenied => Code::NotWritable,
                std::io::ErrorKind::IsADirectory => Code::NotADatabase,
                _ => Code::Io,
            };
            let whole = std::path::absolute(path);
            let whole = whole.as_deref().unwrap_or(path);
            let failure = Failure::own(code, format!("cannot read {}: {error}", whole.display()));
            match code {
                Code::FileMissing => failure.with_fix("create it first, or check the path"),
                Code::NotWritable => {
                    failure.with_fix("check owner and permissions of the file and its folders")
                }
                Code::NotADatabase => failure.with_fix("check the path"),
                _ => failure,
            }
        };
        let mut bytes = Vec::new();
        // No connection of this process could lose its locks by this file's closing: it has none.
        std::fs::File::open(path).and_then(|file| file.take(100).read_to_end(&mut bytes)).map_err(refused)?;
        let versions = bytes.get(18..20);
        let size = bytes.get(16..18).and_then(|size| size.try_into().ok()).map_or(0, u16::from_be_bytes);
        match (bytes.starts_with(b"SQLite format 3\0"), versions) {
            // SQLite writes the first page with the first transaction.
            _ if bytes.is_empty() => Ok(Self { journal: JournalMode::Rollback, page_size: 4096 }),
            (true, Some(versions)) => Ok(Self {
                journal: if versions == [2, 2] { JournalMode::Wal } else { JournalMode::Rollback },
                page_size: if size == 1 { 65_536 } else { u32::from(size) },
            }),
            _ => {
                let text =
                    format!("{} is not an SQLite database: it begins with other bytes", path.display());
                Err(Failure::own(Code::NotADatabase, text).with_fix("check the path"))
            }
        }
    }
}
