//! Recording without a handle: a program that has loaded the library as an extension writes to a database which another
//! process records. Its writes go into the same store, as those of any recorded connection.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dbrewind_core::{Engine as EraEngine, Store, StoreOptions, Timeline};

use super::recorder::Recorder;
use crate::file::FileId;
use crate::naming::{name_in, who_is_there};
use crate::notes::{anchored_file, tag};
use crate::objects::latest_block;
use crate::store_folder::beside;
use crate::sync::{AtomicBool, Ordering};

/// Whether connections of this process join.
static ON: AtomicBool = AtomicBool::new(false);

/// The one database whose recording is joined, and its store. `None`: any that has a store beside it.
static ONLY: Mutex<Option<(PathBuf, PathBuf)>> = Mutex::new(None);

/// From now on a connection through the shim that begins to write to this database joins its recording in this store.
pub(crate) fn begin_with(database: &Path, store: &Path) {
    let mut only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    if only.is_none() {
        *only = Some((database.to_owned(), store.to_owned()));
        drop(only);
        begin();
    }
}

/// From now on a connection through the shim that begins to write joins the recording beside its database.
pub(crate) fn begin() {
    // Relaxed: a flag that nothing else depends on.
    ON.store(true, Ordering::Relaxed);
}

/// This process has a handle: what is recorded from now on is its business.
pub(super) fn end() {
    // Relaxed: as in `begin`.
    ON.store(false, Ordering::Relaxed);
}

/// Whether to look for a recording.
pub(super) fn is_on() -> bool {
    // Relaxed: as in `begin`.
    ON.load(Ordering::Relaxed)
}

/// The store of a database that is recorded in a rollback mode, and what writes to it.
///
/// Anything that is not as it should be means that the write goes unrecorded; the recording then finds that out by
/// the change counter.
pub(super) fn find(path: &Path, file: FileId) -> Option<Recorder> {
    let path = std::fs::canonicalize(path).ok()?;
    let folder = match ONLY.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some((only, store)) if *only == path => store.clone(),
        Some(_) => return None,
        None => beside(&path),
    };
    // Not to make one where there is none.
    std::fs::metadata(folder.join("control")).ok()?;
    let store = Store::open(&folder, &StoreOptions::default()).ok()?;
    // Whoever writes makes the room for it, and leaves others theirs.
    store.make_room_by(who_is_there(&folder));
    let name = name_in(&store, &path).ok()?;
    let block = latest_block(&store, &name).ok()??;
    let object = store.object(&name, block).ok()?;
    let mut timeline = Timeline::lazy(object);
    timeline.catch_up(&store).ok()?;
    let rollback = timeline.era().is_some_and(|era| era.engine == EraEngine::Rollback);
    let anchored = timeline.notes(tag::ANCHOR).last().and_then(|note| anchored_file(&note.body))?;
    let same = anchored == file;
    (rollback && same && !store.boot_changed(object)).then(|| Recorder::new(store, object, block, None))
}
