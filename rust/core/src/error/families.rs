use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Code;
use crate::types::ObjectId;

/// Why a store could not be opened. No record was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), help(source))]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// The disk has no room for a segment, or the limit is too low.
    #[error("the store in {} cannot grow: {why}", path.display())]
    Full {
        /// The store's folder.
        path: PathBuf,
        /// Which of the two, and what helps.
        why: String,
    },
    /// Bytes of the store are not what was written.
    #[error("the store is damaged: {} {what}; remove the folder to record anew", path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
    },
    /// Another version of the format.
    #[error(
        "{} has format version {found}, this program knows {known}; use the dbrewind that wrote it, or remove the \
         folder to record anew",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The version this program writes.
        known: u32,
    },
    /// Somebody else is opening the store or making a segment, and does not get done.
    #[error("the store in {} stayed locked by somebody else for {waited:?}", path.display())]
    Busy {
        /// The store's folder.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// The caller [asked](crate::interruptible) to end the wait for somebody who is opening the store.
    #[error("interrupted while the store in {} was locked by somebody else; nothing was changed", path.display())]
    Interrupted {
        /// The store's folder.
        path: PathBuf,
    },
    /// All writer slots are taken.
    #[error("{max} writers have the store in {} open, the most there can be", path.display())]
    TooManyWriters {
        /// The store's folder.
        path: PathBuf,
        /// How many there can be.
        max: u16,
    },
    /// An option has a value that cannot be.
    #[error("{what}")]
    Invalid {
        /// Which option, and what would be valid.
        what: &'static str,
    },
}

impl OpenError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Io { source, .. } => io_code(source),
            Self::Full { .. } => Code::StoreFull,
            Self::Damaged { .. } => Code::StoreDamaged,
            Self::Version { .. } => Code::StoreVersion,
            Self::Busy { .. } | Self::TooManyWriters { .. } => Code::Busy,
            Self::Interrupted { .. } => Code::Interrupted,
            Self::Invalid { .. } => Code::InvalidArgument,
        }
    }
}

/// Why a record was not appended. Nobody will ever see any part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The disk is full, or the store has reached its limit.
    #[error("the store in {} cannot grow: {why}", path.display())]
    Full {
        /// The store's folder.
        path: PathBuf,
        /// Which of the two, and what helps.
        why: String,
    },
    /// The record is longer than a segment may be.
    #[error("a record of {len} bytes is longer than the longest possible, {max}")]
    TooLong {
        /// Length of the refused body, in bytes.
        len: u64,
        /// The longest possible, in bytes.
        max: u64,
    },
    /// The store has its 256 objects already.
    #[error("the store has {max} objects already, the most it can have")]
    TooManyObjects {
        /// How many there can be.
        max: u32,
    },
    /// The object is registered with another key size, or the name cannot be one.
    #[error("{what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
    /// The caller [asked](crate::interruptible) to end the wait for somebody who registers an object.
    #[error("interrupted while somebody else registered an object; nothing was changed")]
    Interrupted,
    /// The store is damaged. Nothing was changed.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Where, what was found and what was expected.
        what: String,
    },
    /// The process was forked since the store was opened.
    #[error("this process is a fork of the one that opened the store; open the store again in it")]
    Forked,
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, a verb and its object.
        action: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

impl AppendError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Full { .. } => Code::StoreFull,
            Self::TooLong { .. } | Self::TooManyObjects { .. } | Self::Invalid { .. } => {
                Code::InvalidArgument
            }
            Self::Interrupted => Code::Interrupted,
            Self::Damaged { .. } => Code::StoreDamaged,
            Self::Forked => Code::Forked,
            Self::Io { source, .. } => io_code(source),
        }
    }
}

/// Why a record could not be read. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are not what was written.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Where, what was found and what was expected.
        what: String,
    },
    /// A record of a kind that this version of the format does not have.
    #[error("the store has a record of kind {kind}, which format version {known} does not know")]
    Version {
        /// The kind.
        kind: u8,
        /// The version this program knows.
        known: u32,
    },
    /// No committed record is there.
    #[error("there is no committed record at {what}")]
    NoRecord {
        /// The location.
        what: String,
    },
    /// The record was evicted: it is older than the window.
    #[error("the record at {what} is before the window, and was evicted")]
    BeforeWindow {
        /// The location.
        what: String,
    },
    /// The process was forked since the store was opened.
    #[error("this process is a fork of the one that opened the store; open the store again in it")]
    Forked,
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, a verb and its object.
        action: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

impl ReadError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Damaged { .. } => Code::StoreDamaged,
            Self::Version { .. } => Code::StoreVersion,
            Self::NoRecord { .. } => Code::Internal,
            Self::BeforeWindow { .. } => Code::BeforeWindow,
            Self::Forked => Code::Forked,
            Self::Io { source, .. } => io_code(source),
        }
    }
}

/// Why a lock was not taken. It is not held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else held it all the time.
    #[error("object {object} stayed locked by somebody else for {waited:?}")]
    Busy {
        /// The object.
        object: ObjectId,
        /// How long was waited.
        waited: Duration,
    },
    /// The caller [asked](crate::interruptible) to end the wait.
    #[error("interrupted while object {object} was locked by somebody else; nothing was changed")]
    Interrupted {
        /// The object.
        object: ObjectId,
    },
    /// The store's folder was removed or renamed while it was open.
    #[error(
        "the store in {} is gone: the folder was removed or renamed while it was in use; close this recording and \
         open a new one, which begins without marks",
        path.display()
    )]
    Gone {
        /// The folder.
        path: PathBuf,
    },
    /// The process was forked since the store was opened.
    #[error("this process is a fork of the one that opened the store; open the store again in it")]
    Forked,
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, a verb and its object.
        action: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

impl LockError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Busy { .. } => Code::Busy,
            Self::Interrupted { .. } => Code::Interrupted,
            Self::Gone { .. } => Code::StoreDamaged,
            Self::Forked => Code::Forked,
            Self::Io { source, .. } => io_code(source),
        }
    }
}

/// Why the store could not be made durable. It may be in part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The process was forked since the store was opened.
    #[error("this process is a fork of the one that opened the store; open the store again in it")]
    Forked,
    /// A record in the midst of the log is in flight: a power cut would end the log there, whatever of the rest is on disk.
    #[error(
        "a process was stopped in the middle of a record, or takes long over it, and what was recorded since is not safe from a \
         power cut before it goes on (waited {waited:?}); continue that process, or end it"
    )]
    InFlight {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, a verb and its object.
        action: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

impl SyncError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Forked => Code::Forked,
            Self::InFlight { .. } => Code::Busy,
            Self::Io { source, .. } => io_code(source),
        }
    }
}

/// Why a segment was not sealed. Everything is as it was, and can be read as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The segment's bytes are not what was written, or the sealed file did not say the same.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Where, what was found and what was expected.
        what: String,
    },
    /// The process was forked since the store was opened.
    #[error("this process is a fork of the one that opened the store; open the store again in it")]
    Forked,
    /// The operating system refused; a full disk, perhaps.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, a verb and its object.
        action: &'static str,
        /// The system's own error.
        source: io::Error,
    },
}

impl SealError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Damaged { .. } => Code::StoreDamaged,
            Self::Forked => Code::Forked,
            Self::Io { source, .. } => io_code(source),
        }
    }
}

/// What helps a store that the operating system does not let anybody open.
fn help(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; check owner, mode and mount of it and of the folder that it is in, or keep the history in another place (store=)"
        }
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "; a file is where the history's folder would be: move it away, or keep the history in another place (store=)"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some of that disk, or keep the history in another place (store=)"
        }
        _ => "",
    }
}

/// The operating system's refusals that have a number of their own.
fn io_code(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::NotFound => Code::FileMissing,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Code::NotWritable,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::StoreFull,
        _ => Code::Io,
    }
}
