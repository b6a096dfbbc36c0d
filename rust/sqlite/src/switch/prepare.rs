//! What keeps the WAL as it was created until the WAL engine has it.

use std::path::{Path, PathBuf};

use dbrewind_core::{ObjectId, Store};

use crate::ffi::{HostFile, HostVfs, ShmLock};
use crate::file::{Content, Header, read_padded};
use crate::handover::Handover;
use crate::wal::{READ4, WalFile, WalIndex};

/// See [`Prepare`](crate::handover::Prepare).
pub(crate) fn prepare(
    vfs: HostVfs,
    path: &Path,
    (store, object): (&Store, ObjectId),
    counter: u32,
) -> Option<Handover> {
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
    if !index.is_untouched() || index.watch().header().is_some_and(|header| header.max_frame > 0) {
        return None;
    }
    let role = store.try_hold(object).ok()??;
    Some(Handover { file, role })
}

fn is_absent(error: std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}
