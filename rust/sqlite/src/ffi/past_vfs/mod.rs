//! A second VFS, which serves a database as it was: read-only, and unchangeable for whoever reads.
//!
//! A name is `<path of the database>@<LSN>.<number of the handle>`. Nothing of that name is in the file system, so that
//! SQLite finds no journal and no WAL beside it. What the bytes are is decided in `crate::as_of`, not here. Temporary files
//! of sorting and the like go to SQLite's own VFS.

mod file;
mod vfs;

use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use super::api::SqliteApi;
use super::host_file::{HostVfs, VfsError};
use super::{shim, types};

/// The name it is registered under.
pub(crate) const NAME: &CStr = c"dbrewind-at";

/// The copies of SQLite that know it: each has a struct of its own, see the shim.
static MADE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Registers the VFS in this copy of SQLite, once. It stays for the life of the process, and is never the default one.
///
/// # Errors
/// SQLite's result code when it has no VFS at all, or refuses the registration.
pub(crate) fn install(api: &SqliteApi) -> Result<(), VfsError> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.contains(&api.identity()) {
        return Ok(());
    }
    let real = shim::real_vfs(api).ok_or(VfsError::Code(types::SQLITE_NOTFOUND))?;
    let ours: HostVfs = vfs::make(real, api.identity());
    // SAFETY: the struct was leaked by `make`, so it stays valid as long as SQLite may use it.
    let code = unsafe { (api.vfs_register)(ours.as_ptr(), 0) };
    if code != types::SQLITE_OK {
        return Err(VfsError::Code(code));
    }
    made.push(api.identity());
    Ok(())
}
