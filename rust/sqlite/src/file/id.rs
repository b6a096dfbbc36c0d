use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which file it is, whatever its name. Learned with `stat`, never by opening: closing a descriptor of the
/// database would drop the locks that SQLite holds on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FileId {
    /// Device.
    pub(crate) device: u64,
    /// Inode.
    pub(crate) inode: u64,
}

impl FileId {
    /// The file at a path.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|found| Self::from(&found))
    }

    /// Whether a file that this process has open was removed, and has no other name, as far as the system tells.
    pub(crate) fn is_removed(self) -> bool {
        let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return false };
        // `stat` through the link, see above.
        let found = open.flatten().filter_map(|entry| std::fs::metadata(entry.path()).ok());
        found.filter(|found| Self::from(found) == self).any(|found| found.nlink() == 0)
    }
}

/// When the file at a path was created, in nanoseconds since 1970; 0 where the file system does not say.
pub(crate) fn born(path: &Path) -> u64 {
    let created = std::fs::metadata(path).and_then(|found| found.created()).ok();
    let since = created.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

impl From<&Metadata> for FileId {
    fn from(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}
