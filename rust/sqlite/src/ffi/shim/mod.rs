//! Our VFS between SQLite and its own: hands every call on, and tells the recording about writes.
//!
//! Only the database file itself has an object of ours; journals, WAL and temporary files are opened by
//! the real VFS in the caller's memory. What a write means is decided in `crate::rollback`, not here.

mod file;
mod real_file;
mod vfs;

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use super::api::SqliteApi;
use super::host_file::{HostVfs, VfsError};
use super::types;
pub(crate) use real_file::RealFile;

/// The name our VFS is registered under; `file:app.db?vfs=dbrewind` asks for it.
pub(crate) const NAME: &CStr = c"dbrewind";

thread_local! {
    static OPENING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is within the shim's opening of a database file: what is opened then is recorded.
#[must_use]
pub fn is_opening() -> bool {
    OPENING.try_with(Cell::get).unwrap_or(false)
}

fn opening<T>(open: impl FnOnce() -> T) -> T {
    // A thread that ends opens nothing.
    let before = OPENING.try_with(|opening| opening.replace(true));
    let done = open();
    let _ = OPENING.try_with(|opening| opening.set(before.unwrap_or(false)));
    done
}

/// One copy of SQLite and the shim made for it.
struct Made {
    identity: usize,
    shim: HostVfs,
    real: HostVfs,
    api: SqliteApi,
    /// Another library of this process had its own shim there when we registered ours, the first time or again.
    another: bool,
}

/// A `sqlite3_vfs` is linked into one list through its only `pNext`: each copy of SQLite gets its own.
static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());

/// Our VFS in one copy of SQLite, and the one it wraps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Installed {
    /// The wrapped VFS, the default one at the first call. Our own handles go through it.
    pub(crate) real: HostVfs,
}

/// Registers our VFS in this copy of SQLite, or finds it registered. It stays for the life of the process.
///
/// With `make_default`, connections that name no VFS go through it from now on; a later call without does
/// not take that back.
///
/// # Errors
/// SQLite's result code when it has no VFS at all, or refuses the registration.
pub(crate) fn install(api: &SqliteApi, make_default: bool) -> Result<Installed, VfsError> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let known = made.iter_mut().find(|m| m.identity == api.identity()).map(|m| {
        // Ours may hide it from now on.
        m.another |= named(api).is_some_and(|found| found.as_ptr() != m.shim.as_ptr());
        (m.shim, m.real)
    });
    let another = named(api).is_some();
    let (shim, real) = match known {
        Some(found) => found,
        None => {
            let real = HostVfs::find(api, None).ok_or(VfsError::Code(types::SQLITE_NOTFOUND))?;
            (vfs::wrap(real), real)
        }
    };
    if known.is_none() || make_default {
        // SAFETY: the struct was leaked by `wrap`, so it stays valid as long as SQLite may use it.
        let code = unsafe { (api.vfs_register)(shim.as_ptr(), i32::from(make_default)) };
        if code != types::SQLITE_OK {
            return Err(VfsError::Code(code));
        }
    }
    if known.is_none() {
        made.push(Made { identity: api.identity(), shim, real, api: *api, another });
    }
    Ok(Installed { real })
}

/// The shim that connections are opened with from now on which ask for it by name: ours, or that of another library of this process.
fn named(api: &SqliteApi) -> Option<HostVfs> {
    HostVfs::find(api, NAME.to_str().ok())
}

/// What other libraries of this process, which contain dbrewind as well, have put into a copy of SQLite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Others {
    /// Nothing that matters: ours is not there and needs no other, or it stands in front of theirs.
    Behind,
    /// A shim, and ours is not there.
    Alone,
    /// A shim that wraps ours.
    InFront,
}

/// Looks which shims there are.
pub(crate) fn others(api: &SqliteApi) -> Others {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = made.iter().find(|made| made.identity == api.identity());
    match (ours, named(api)) {
        (_, None) => Others::Behind,
        (None, Some(_)) => Others::Alone,
        // What ours wraps may have been made the default one again.
        (Some(ours), Some(found))
            if [ours.shim, ours.real].map(HostVfs::as_ptr).contains(&found.as_ptr()) =>
        {
            Others::Behind
        }
        (Some(_), Some(_)) => Others::InFront,
    }
}

/// Whether another library in this process has put its own shim into this copy of SQLite, which would record what ours does.
pub(crate) fn is_another_there(api: &SqliteApi) -> bool {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = made.iter().find(|made| made.identity == api.identity());
    ours.is_some_and(|ours| ours.another)
        || named(api).is_some_and(|found| ours.is_none_or(|ours| ours.shim.as_ptr() != found.as_ptr()))
}

/// The copy of SQLite whose VFS the shim wraps.
fn api_of(real: HostVfs) -> Option<SqliteApi> {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.iter().find(|made| made.real.as_ptr() == real.as_ptr()).map(|made| made.api)
}

/// The VFS that our own handles go through: below the shim, wherever it is installed.
pub(crate) fn real_vfs(api: &SqliteApi) -> Option<HostVfs> {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let known = made.iter().find(|made| made.identity == api.identity()).map(|made| made.real);
    known.or_else(|| HostVfs::find(api, None))
}
