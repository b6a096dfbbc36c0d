//! Recording without a handle: a program that has loaded the library as an extension writes to a database which another
//! process records. Its writes go into the same store, as those of any recorded connection.

use std::path::Path;

use dbrewind_core::{Engine as EraEngine, Store, StoreOptions, Timeline};

use super::recorder::Recorder;
use crate::file::FileId;
use crate::naming::name_in;
use crate::notes::{anchored_file, tag};
use crate::objects::latest_block;
use crate::store_folder::beside;
use crate::sync::{AtomicBool, Ordering};

/// Whether connections of this process join.
static ON: AtomicBool = AtomicBool::new(false);

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

/// The store beside a database that is recorded in a rollback mode, and what writes to it.
///
/// Anything that is not as it should be means that the write goes unrecorded; the recording then finds that out by
/// the change counter.
pub(super) fn find(path: &Path, file: FileId) -> Option<Recorder> {
    let path = std::fs::canonicalize(path).ok()?;
    let folder = beside(&path);
    // Not to make one where there is none.
    std::fs::metadata(folder.join("control")).ok()?;
    let store = Store::open(&folder, &StoreOptions::default()).ok()?;
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
