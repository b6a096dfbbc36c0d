use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use super::FileId;

/// What the file system says about a file, as far as it tells one state of it from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileState {
    /// Which one.
    pub(crate) id: FileId,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Last change of content, ns since 1970.
    pub(crate) modified: u64,
    /// Last change of anything, ns since 1970.
    pub(crate) changed: u64,
}

impl From<&Metadata> for FileState {
    fn from(found: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(rest).unwrap_or(0))
        };
        Self {
            id: FileId::from(found),
            size: found.size(),
            modified: nanoseconds(found.mtime(), found.mtime_nsec()),
            changed: nanoseconds(found.ctime(), found.ctime_nsec()),
        }
    }
}
