//! Which database files this process has open through the shim, and who records them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dbrewind_core::Store;

use super::join;
use super::recorder::Recorder;
use super::watched::Watched;
use crate::file::FileId;
use crate::handover::{Handover, Hook};

#[derive(Default)]
struct Entry {
    open: Vec<Arc<Watched>>,
    recorder: Option<Arc<Recorder>>,
    /// How many [`Attachment`]s there are.
    attachments: usize,
    /// How many there have been.
    attached: u64,
    /// Called when the database was switched to WAL mode.
    hooks: Vec<(u64, Hook)>,
    /// Of a switch, until the WAL engine takes it.
    handover: Option<Handover>,
    /// The process that made the recorder.
    process: u32,
}

impl Entry {
    /// In the child of a fork: forgets the parent's recorder, whose store is not ours to use or to close.
    fn leave_to_parent(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.recorder.take());
            std::mem::forget(self.handover.take());
            self.hooks.clear();
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
    if join::is_on() {
        // A child joins for itself.
        entry.leave_to_parent();
    }
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
    number: u64,
}

/// The recorder of this file was attached for another store.
#[derive(Debug)]
pub(crate) struct OtherStore;

/// Records a file from now on, also for connections that have it open through the shim already. A second
/// handle on the same file and store shares the recorder of the first.
pub(crate) fn attach(
    file: FileId,
    store: &Store,
    hook: Hook,
    make: impl FnOnce() -> Recorder,
) -> Result<Attachment, OtherStore> {
    let mut files = files();
    let entry = files.get_or_insert_default().entry(file).or_default();
    entry.leave_to_parent();
    join::end();
    match &entry.recorder {
        Some(recorder) if entry.attachments > 0 && recorder.store().is_same(store) => {}
        Some(_) if entry.attachments > 0 => return Err(OtherStore),
        // A recorder that joined gives way.
        _ => {
            let recorder = Arc::new(make());
            entry.recorder = Some(Arc::clone(&recorder));
            entry.process = std::process::id();
            for open in &entry.open {
                open.connect(Some(Arc::clone(&recorder)));
            }
        }
    }
    entry.attachments += 1;
    entry.attached += 1;
    let number = entry.attached;
    entry.hooks.push((number, hook));
    Ok(Attachment { file, number })
}

/// Records a file that another process records, for as long as a connection of this one has it open.
pub(super) fn join(file: FileId, recorder: Recorder) {
    let mut files = files();
    let Some(entry) = files.as_mut().and_then(|all| all.get_mut(&file)) else { return };
    if entry.recorder.is_some() {
        return;
    }
    let recorder = Arc::new(recorder);
    entry.process = std::process::id();
    for open in &entry.open {
        open.connect(Some(Arc::clone(&recorder)));
    }
    entry.recorder = Some(recorder);
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut files = files();
        let Some(all) = files.as_mut() else { return };
        let Some(entry) = all.get_mut(&self.file) else { return };
        entry.attachments = entry.attachments.saturating_sub(1);
        entry.hooks.retain(|(number, _)| *number != self.number);
        if entry.attachments > 0 {
            return;
        }
        entry.recorder = None;
        let handover = entry.handover.take();
        for open in &entry.open {
            open.connect(None);
        }
        if entry.open.is_empty() {
            all.remove(&self.file);
        }
        drop(files);
        // It closes a file.
        drop(handover);
    }
}

/// The database was switched to WAL mode, by a connection of this process.
pub(super) fn hand_over(file: FileId, handover: Handover) {
    let mut files = files();
    let Some(entry) = files.as_mut().and_then(|all| all.get_mut(&file)) else { return };
    if entry.attachments == 0 || entry.process != std::process::id() {
        return;
    }
    entry.handover = Some(handover);
    let hooks: Vec<Hook> = entry.hooks.iter().map(|(_, hook)| hook.clone()).collect();
    drop(files);
    hooks.iter().for_each(Hook::run);
}

/// The handover of a file, if there was a switch that nobody has followed yet.
pub(crate) fn take_handover(file: FileId) -> Option<Handover> {
    files().as_mut().and_then(|all| all.get_mut(&file)).and_then(|entry| entry.handover.take())
}

/// Keeps a handover for the next call, as long as anybody records the file.
pub(crate) fn give_back(file: FileId, handover: Option<Handover>) {
    if handover.is_none() {
        return;
    }
    let mut files = files();
    match files.as_mut().and_then(|all| all.get_mut(&file)) {
        Some(entry) if entry.attachments > 0 => entry.handover = handover,
        _ => {}
    }
}

/// The other files that a file's connection has open, as far as it is known whose they are.
pub(super) fn others_of(watched: &Watched) -> Vec<Arc<Watched>> {
    let Some(connection) = watched.connection() else { return Vec::new() };
    // Not under the registry's lock: looking takes others.
    let all: Vec<Arc<Watched>> =
        files().iter().flat_map(HashMap::values).flat_map(|entry| entry.open.iter().cloned()).collect();
    all.into_iter().filter(|other| other.connection() == Some(connection)).collect()
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

/// The connections of this process that hold a lock on a file through the shim, in words: whether it is the calling
/// thread's, the level, and a statement that it is in the midst of.
pub(super) fn holding(file: FileId) -> Vec<(bool, i32, Option<String>)> {
    // Not under the registry's lock: looking opens connections.
    let open: Vec<Arc<Watched>> =
        files().as_ref().and_then(|all| all.get(&file)).map_or_else(Vec::new, |entry| entry.open.clone());
    let holding = open.iter().filter_map(|watched| {
        let (level, mine) = watched.held();
        (level > 0).then(|| (mine, level, watched.busy_statement()))
    });
    holding.collect()
}

/// Whether a connection of this process has set `journal_mode` to OFF or MEMORY.
pub(crate) fn is_unguarded(file: FileId) -> bool {
    let files = files();
    let entry = files.as_ref().and_then(|all| all.get(&file));
    entry.is_some_and(|entry| entry.open.iter().any(|open| open.is_unguarded()))
}

/// How many handles of ours are recording this file.
pub(crate) fn handles(file: FileId) -> usize {
    files().as_ref().and_then(|all| all.get(&file)).map_or(0, |entry| entry.attachments)
}
