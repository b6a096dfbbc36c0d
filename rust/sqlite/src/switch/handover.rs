//! What keeps the WAL as it was created until the WAL engine has it.

use std::path::{Path, PathBuf};

use dbrewind_core::{HolderLock, ObjectId, Store};

use crate::error::Error;
use crate::ffi::{HostFile, HostVfs, LockLevel, ShmLock};
use crate::file::{Content, Header, read_padded};
use crate::wal::{READ4, WalFile, WalIndex};

/// A handle on a database that has just been switched to WAL mode. As long as it lives nobody can bring a
/// frame into the database file: that holds the state of the last recorded commit.
#[derive(Debug)]
pub(crate) struct Handover {
    /// SHARED on the database (once [`Handover::complete`] said so) and on READ4, whose mark is 0.
    pub(crate) file: HostFile,
    /// Other recording processes wait for us.
    pub(crate) role: HolderLock,
}

impl Handover {
    /// First half, while the switching connection still has EXCLUSIVE on the database. `counter`: the change
    /// counter of the recorded commit. `None`: what is there is not certain.
    pub(crate) fn prepare(
        vfs: HostVfs,
        path: &Path,
        (store, object): (&Store, ObjectId),
        counter: u32,
    ) -> Option<Self> {
        let empty = |path: PathBuf| std::fs::metadata(path).map_or_else(is_absent, |wal| wal.len() == 0);
        if !empty(WalFile::path_of(path)) {
            return None;
        }
        let mut file = HostFile::open(vfs, path).ok()?;
        let mut page = [0; Header::LEN];
        read_padded(&mut file as &mut dyn Content, &mut page, 0).ok()?;
        let header = Header::parse(&page)?;
        if header.versions != [2, 2] || header.counter != counter {
            return None;
        }
        let index = WalIndex::map(&mut file).ok()?;
        file.shm_lock(READ4, 1, ShmLock::Shared).ok()?;
        file.shm_barrier();
        if !Self::untouched(&index) || index.watch().header().is_some_and(|header| header.max_frame > 0) {
            return None;
        }
        let role = store.try_hold(object).ok()??;
        Some(Self { file, role })
    }

    /// Second half, when that connection has gone down to SHARED, which it still has.
    pub(crate) fn complete(&mut self) -> bool {
        self.file.lock(LockLevel::Shared).is_ok()
    }

    /// Whether no frame has been brought into the database file. Some versions of SQLite reset read marks in a
    /// recovery even while a reader is on them.
    pub(crate) fn untouched(index: &WalIndex) -> bool {
        index.watch().back_filled() == 0 && index.attempted() == 0 && index.watch().read_mark(4) == 0
    }
}

/// The WAL engine could not take over.
#[derive(Debug)]
pub(crate) struct NotAdopted {
    pub(crate) error: Error,
    /// If it still keeps everything as it is.
    pub(crate) handover: Option<Handover>,
}

impl NotAdopted {
    pub(crate) fn new(error: Error, handover: Option<Handover>) -> Box<Self> {
        Box::new(Self { error, handover })
    }
}

fn is_absent(error: std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}
