//! `open(journal="wal")` of a database that was recorded in a rollback mode before.

use std::path::Path;
use std::sync::Arc;

use super::{Context, follow, prepare};
use crate::engine::{Engine, SharedHistory};
use crate::error::Error;
use crate::ffi::{SqliteApi, shim};
use crate::handover::Hook;
use crate::journal_mode::set_journal;
use crate::options::OpenOptions;
use crate::rollback::Rollback;

/// Records the database as it is, switches it to WAL mode, recorded like anybody's switch, and goes over.
pub(crate) fn enter_wal(
    api: SqliteApi,
    path: &Path,
    history: SharedHistory,
    block: u32,
    options: &OpenOptions,
) -> Result<Box<dyn Engine>, Error> {
    // The application does not need the shim in WAL mode.
    let quiet = OpenOptions { default_vfs: false, ..options.clone() };
    let rollback = Rollback::open(api, path, Arc::clone(&history), block, &quiet, Hook::silent(prepare))?;
    let mut engine: Box<dyn Engine> = Box::new(rollback);
    set_journal(api, path, Some(shim::NAME), options, c"PRAGMA journal_mode = WAL", "wal")?;
    follow(&mut engine, &Context { api, path: path.to_owned(), options: options.clone(), history })?;
    Ok(engine)
}
