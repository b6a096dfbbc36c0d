//! `open(journal="delete")` of a database that was recorded in WAL mode before.

use std::path::Path;
use std::sync::Arc;

use crate::engine::SharedHistory;
use crate::error::Error;
use crate::ffi::{HostFile, LockLevel, SqliteApi, VfsError};
use crate::handover::Hook;
use crate::options::OpenOptions;
use crate::rollback::{Rollback, open_by, refuse_two_copies};
use crate::wal::Core;

/// Ends WAL mode while nobody else has the database open, and goes on recording in the rollback modes.
pub(crate) fn leave_wal(
    api: SqliteApi,
    path: &Path,
    history: SharedHistory,
    page: u32,
    options: &OpenOptions,
    hook: Hook,
) -> Result<Rollback, Error> {
    refuse_two_copies(api, path)?;
    let busy = |what: &str| Error::Busy { what: what.to_owned(), holder: None, waited: options.timeout };
    let mut core = Core::open(api, path, page, Arc::clone(&history), options)?;
    core.attach()?;
    if core.holder.is_none() {
        return Err(busy("another process records the database in WAL mode"));
    }
    let _object = core.lock_object(options.timeout)?;
    core.header()?;
    HostFile::retry_patiently(options.timeout, || core.file.lock(LockLevel::Exclusive)).map_err(|error| {
        match error {
            VfsError::Busy => Error::Busy {
                what: "a connection has the database open in WAL mode; all must be closed for this"
                    .to_owned(),
                holder: open_by(path, false),
                waited: options.timeout,
            },
            other => Error::vfs("lock the database exclusively")(other),
        }
    })?;
    core.end_wal()?;
    let Core { file, holder: _role, .. } = core;
    Rollback::adopt(api, path, history, page, options, hook, file)
}
