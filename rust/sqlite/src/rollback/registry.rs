//! Which database files this process has open through the shim, and who records them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dbrewind_core::Store;

use super::file_id::FileId;
use super::recorder::Recorder;
use super::watched::Watched;

#[derive(Default)]
struct Entry {
    open: Vec<Arc<Watched>>,
    recorder: Option<Arc<Recorder>>,
    /// How many [`Attachment`]s there are.
    attachments: usize,
    /// The process that made the recorder.
    process: u32,
}

impl Entry {
    /// In the child of a fork: forgets the parent's recorder, whose store is not ours to use or to close.
    fn leave_to_parent(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.recorder.take());
            self.attachments = 0;
        }
    }
}

static FILES: Mutex<Option<HashMap<FileId, Entry>>> = Mutex::new(None);

fn files() -> MutexGuard<'static, Option<HashMap<FileId, Entry>>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection has opened this file. If it is recorded already, its writes are from now on.
pub(super) fn add(watched: &Arc<Watched>) {
    let Some(file) = watched.file() else { return };
    let mut files = files();
    let entry = files.get_or_insert_default().entry(file).or_default();
    entry.open.push(Arc::clone(watched));
    watched.connect(entry.recorder.clone());
}

/// A connection has closed this file.
pub(super) fn remove(watched: &Watched) {
    let Some(file) = watched.file() else { return };
    let mut files = files();
    let Some(all) = files.as_mut() else { return };
    if let Some(entry) = all.get_mut(&file) {
        entry.open.retain(|open| !std::ptr::eq(Arc::as_ptr(open), watched));
        if entry.open.is_empty() && entry.attachments == 0 {
            all.remove(&file);
        }
    }
}

/// A recording that stays in effect as long as this value, or another one of the same file, lives.
#[derive(Debug)]
pub(crate) struct Attachment {
    file: FileId,
}

/// The recorder of this file was attached for another store.
#[derive(Debug)]
pub(crate) struct OtherStore;

/// Records a file from now on, also for connections that have it open through the shim already. A second
/// handle on the same file and store shares the recorder of the first.
pub(crate) fn attach(
    file: FileId,
    store: &Store,
    make: impl FnOnce() -> Recorder,
) -> Result<Attachment, OtherStore> {
    let mut files = files();
    let entry = files.get_or_insert_default().entry(file).or_default();
    entry.leave_to_parent();
    match &entry.recorder {
        Some(recorder) if recorder.store().is_same(store) => {}
        Some(_) => return Err(OtherStore),
        None => {
            let recorder = Arc::new(make());
            entry.recorder = Some(Arc::clone(&recorder));
            entry.process = std::process::id();
            for open in &entry.open {
                open.connect(Some(Arc::clone(&recorder)));
            }
        }
    }
    entry.attachments += 1;
    Ok(Attachment { file })
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut files = files();
        let Some(all) = files.as_mut() else { return };
        let Some(entry) = all.get_mut(&self.file) else { return };
        entry.attachments = entry.attachments.saturating_sub(1);
        if entry.attachments > 0 {
            return;
        }
        entry.recorder = None;
        for open in &entry.open {
            open.connect(None);
        }
        if entry.open.is_empty() {
            all.remove(&self.file);
        }
    }
}

/// The locks that connections of this process hold on a file through the shim.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct HeldHere {
    /// How many connections have the file open.
    pub(crate) connections: usize,
    /// The highest level a connection last used by the calling thread holds, 0 for none.
    pub(crate) mine: i32,
    /// The highest level another connection of the process holds.
    pub(crate) others: i32,
}

/// Looks who of this process holds a lock.
pub(crate) fn held_here(file: FileId) -> HeldHere {
    let files = files();
    let open = files.as_ref().and_then(|all| all.get(&file)).map_or(&[][..], |entry| &entry.open);
    let mut held = HeldHere { connections: open.len(), ..HeldHere::default() };
    for watched in open {
        match watched.held() {
            (level, true) => held.mine = held.mine.max(level),
            (level, false) => held.others = held.others.max(level),
        }
    }
    held
}

/// How many handles of ours are recording this file.
pub(crate) fn handles(file: FileId) -> usize {
    files().as_ref().and_then(|all| all.get(&file)).map_or(0, |entry| entry.attachments)
}
