use std::io;

use dbrewind_core::Code;

use super::Error;

impl Error {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotAttached { .. } => Code::NotAttached,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::MarkNotFound { .. } | Self::NoSuchMoment { .. } => Code::MarkNotFound,
            Self::MarkExists { .. } => Code::MarkExists,
            Self::MarkName(_) | Self::Invalid { .. } | Self::RecordedTwice { .. } => Code::InvalidArgument,
            Self::MarkLost { .. } => Code::MarkLost,
            Self::BeforeWindow { .. } => Code::BeforeWindow,
            Self::Busy { .. } | Self::InUse { .. } => Code::Busy,
            Self::Interrupted => Code::Interrupted,
            Self::FileMissing { .. } | Self::FolderMissing { .. } | Self::StoreLeftBehind { .. } => {
                Code::FileMissing
            }
            Self::ClosedWithoutStore { .. } => Code::StoreDamaged,
            Self::NotADatabase { .. } => Code::NotADatabase,
            Self::NotWritable { .. } => Code::NotWritable,
            Self::FileReplaced { .. } | Self::AnotherFile { .. } => Code::FileReplaced,
            Self::TwoSqlites { .. } => Code::TwoSqlites,
            Self::Unsupported { .. } => Code::Unsupported,
            Self::Closed => Code::Closed,
            Self::Forked => Code::Forked,
            Self::Stopped { code, .. } => *code,
            Self::NoRoom { .. } => Code::StoreFull,
            Self::Sqlite { source, .. } => source.code(),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Code::FileMissing,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Code::NotWritable,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::StoreFull,
                _ => Code::Io,
            },
            Self::Late { source, .. } | Self::OtherNames { source, .. } => source.code(),
            Self::WalDamaged { .. } => Code::Io,
            Self::Open(e) => e.code(),
            Self::Append(e) => e.code(),
            Self::Read(e) => e.code(),
            Self::Lock(e) => e.code(),
            Self::Sync(e) => e.code(),
            Self::History(e) => e.code(),
            Self::Plan(e) => e.code(),
            Self::Internal { .. } => Code::Internal,
        }
    }
}
