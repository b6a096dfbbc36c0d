//! The way into a SQLite whose symbols nobody can look up: it hands its functions to a loaded extension.

use std::ffi::{c_int, c_void};
use std::path::Path;

use super::api::SqliteApi;
use super::types::{self, BusyTimeout, Close, Exec, LibVersionNumber, OpenV2, VfsFind, VfsRegister};
use super::{host_file::VfsError, shim, shim::Others};

/// Places in `struct sqlite3_api_routines`, counted in pointers. Entries are only ever added at its end.
mod place {
    pub(super) const BUSY_TIMEOUT: usize = 14;
    pub(super) const CLOSE: usize = 16;
    pub(super) const EXEC: usize = 55;
    pub(super) const LIBVERSION_NUMBER: usize = 67;
    pub(super) const OPEN_V2: usize = 135;
    pub(super) const VFS_FIND: usize = 141;
    pub(super) const VFS_REGISTER: usize = 142;
}

impl SqliteApi {
    /// # Safety
    /// `routines` is the `sqlite3_api_routines` that SQLite passes to an extension.
    unsafe fn from_routines(routines: *const c_void) -> Option<Self> {
        if routines.is_null() {
            return None;
        }
        let table = routines.cast::<*const c_void>();
        // SAFETY: by contract each place holds the function whose C signature is the field's type. The table of
        // every SQLite since 3.5.0 reaches this far.
        unsafe {
            let at = |place: usize| {
                let function = *table.add(place);
                (!function.is_null()).then_some(function)
            };
            Some(Self {
                vfs_find: std::mem::transmute::<*const c_void, VfsFind>(at(place::VFS_FIND)?),
                vfs_register: std::mem::transmute::<*const c_void, VfsRegister>(at(place::VFS_REGISTER)?),
                open_v2: std::mem::transmute::<*const c_void, OpenV2>(at(place::OPEN_V2)?),
                close: std::mem::transmute::<*const c_void, Close>(at(place::CLOSE)?),
                exec: std::mem::transmute::<*const c_void, Exec>(at(place::EXEC)?),
                busy_timeout: std::mem::transmute::<*const c_void, BusyTimeout>(at(place::BUSY_TIMEOUT)?),
                libversion_number: std::mem::transmute::<*const c_void, LibVersionNumber>(at(
                    place::LIBVERSION_NUMBER,
                )?),
                statements: None,
            })
        }
    }
}

/// Makes our VFS the default one of a SQLite, and has connections from then on write into the recording that another process has of one
/// database, in this folder. Nothing is done where a handle of this process has that recording. Again after `sqlite3_shutdown`, which forgets what is the default.
///
/// # Errors
/// SQLite's, in words. Nothing is recorded then.
pub fn join_recording(api: &SqliteApi, database: &Path, store: &Path) -> Result<(), String> {
    match shim::others(api) {
        Others::Behind => {}
        // A handle's. If it is of this very database it records already; of others ours is none of its business.
        Others::Alone if !crate::rollback::is_open_here(&store.join("locks")) => {}
        Others::Alone | Others::InFront => return Ok(()),
    }
    shim::install(api, true).map_err(|error| format!("its SQLite takes no VFS: {error:?}"))?;
    crate::rollback::join_recording_of(database, store);
    Ok(())
}

/// The body of an extension's entry point: makes our VFS the default one of the SQLite that calls, and has
/// connections from then on write into the recording of another process. Answers `SQLITE_OK_LOAD_PERMANENTLY`,
/// since the VFS stays.
///
/// # Safety
/// `routines` is what SQLite passed to the entry point.
pub unsafe fn extension_init(routines: *const c_void) -> c_int {
    let init = || {
        // SAFETY: by contract.
        let api = unsafe { SqliteApi::from_routines(routines) }.ok_or(types::SQLITE_ERROR)?;
        shim::install(&api, true).map_err(|error| match error {
            VfsError::Code(code) => code,
            _ => types::SQLITE_ERROR,
        })?;
        crate::rollback::join_recordings();
        Ok(types::SQLITE_OK_LOAD_PERMANENTLY)
    };
    match std::panic::catch_unwind(init) {
        Ok(Ok(code) | Err(code)) => code,
        Err(_) => types::SQLITE_ERROR,
    }
}
