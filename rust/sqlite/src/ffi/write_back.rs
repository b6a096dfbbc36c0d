use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};

use crate::file::FileId;

/// Lets the kernel begin to write to the disk what was changed in this range of a file, in bytes, so that less is left
/// to do for the sync that follows. It promises nothing, and an error is none: without it the sync does all. What it
/// puts on disk the kernel could have put there by itself.
pub(crate) fn begin_write_back(file: &File, range: Range<u64>) {
    begin(file.as_raw_fd(), range);
}

fn begin(fd: RawFd, range: Range<u64>) {
    let len = range.end.saturating_sub(range.start);
    let (Ok(from), Ok(len)) = (i64::try_from(range.start), i64::try_from(len)) else { return };
    // SAFETY: takes no pointers; a descriptor that is not open, or of another kind, is an error without effect.
    unsafe { libc::sync_file_range(fd, from, len, libc::SYNC_FILE_RANGE_WRITE) };
}

/// The same for a database file.
///
/// That needs a descriptor, and to close one of our own would cost the process all of SQLite's locks on the file.
/// So one of SQLite's own is looked for. It may be closed at any moment, and its number be another file's then: of
/// that one some pages would be written earlier than they had been, nothing else.
#[derive(Debug, Default)]
pub(crate) struct WriteBack {
    fd: Option<RawFd>,
    /// The process has none, or does not let us see.
    none: bool,
}

impl WriteBack {
    /// Looks for a descriptor, unless the one found earlier is still good.
    pub(crate) fn find(&mut self, file: FileId) {
        if self.none || self.fd.is_some_and(|fd| is_of(fd, file)) {
            return;
        }
        self.fd = open_files().find(|fd| is_of(*fd, file));
        self.none = self.fd.is_none();
    }

    /// See [`begin_write_back`].
    pub(crate) fn start(&self, file: FileId, range: Range<u64>) {
        if let Some(fd) = self.fd.filter(|fd| is_of(*fd, file)) {
            begin(fd, range);
        }
    }
}

/// The descriptors of the process, as far as they can be listed.
fn open_files() -> impl Iterator<Item = RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether the descriptor is open for reading and writing, and leads to this file.
fn is_of(fd: RawFd, file: FileId) -> bool {
    // SAFETY: takes no pointers; a descriptor that is not open is an error.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags == -1 || flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE != libc::O_RDWR {
        return false;
    }
    // SAFETY: all fields are integers, for which zero is a value.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is valid for the write.
    let done = unsafe { libc::fstat(fd, &raw mut found) };
    done == 0 && (found.st_dev, found.st_ino) == (file.device, file.inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_open_and_forgets_what_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let file = std::fs::File::create(&path).unwrap();
        let id = FileId::of(&path).unwrap();
        let mut write_back = WriteBack::default();
        // It was opened for writing only.
        write_back.find(id);
        assert_eq!((write_back.fd, write_back.none), (None, true));
        write_back.start(id, 0..10);
        drop(file);

        let open = || std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let (one, mut write_back) = (open(), WriteBack::default());
        write_back.find(id);
        assert_eq!(write_back.fd, Some(one.as_raw_fd()));
        write_back.start(id, 0..10);
        let two = open();
        drop(one);
        write_back.start(id, 0..10);
        write_back.find(id);
        assert_eq!(write_back.fd, Some(two.as_raw_fd()));
        let other = FileId { inode: id.inode + 1, ..id };
        assert!(!is_of(two.as_raw_fd(), other));
    }
}
