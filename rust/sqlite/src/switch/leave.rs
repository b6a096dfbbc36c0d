//! `open(journal="delete")` of a database that was recorded in WAL mode before.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::SharedHistory;
use crate::error::Error;
use crate::ffi::{HostFile, LockLevel, SqliteApi, VfsError};
use crate::handover::Hook;
use crate::options::OpenOptions;
use crate::rollback::{Rollback, is_open_here, open_by, refuse_two_copies};
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
    // Before the core has it open itself.
    let here = is_open_here(path);
    let mut core = Core::open(api, path, page, Arc::clone(&history), options)?;
    core.attach()?;
    if core.holder.is_none() {
        return Err(in_use("another recording of the database is open", (path, here), Duration::ZERO));
    }
    let _object = core.lock_object(options.timeout)?;
    core.header()?;
    HostFile::retry_patiently(options.timeout, || core.file.lock(LockLevel::Exclusive)).map_err(|error| {
        match error {
            VfsError::Busy => {
                in_use("another connection has the database open", (path, here), options.timeout)
            }
            other => Error::vfs("lock the database exclusively")(other),
        }
    })?;
    core.end_wal()?;
    let Core { file, holder: _role, .. } = core;
    Rollback::adopt(api, path, history, page, options, hook, file)
}

/// WAL mode ends only where nobody else is. `here`: this process was there before.
fn in_use(by: &str, (path, here): (&Path, bool), waited: Duration) -> Error {
    let holder = open_by(path, here).map(String::into_boxed_str);
    Error::InUse { what: format!("cannot leave WAL mode, since {by}"), holder, waited }
}
