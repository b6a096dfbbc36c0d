//! Which journal mode a database is in, and setting it; looked at and done through SQLite, before an engine is there.

use std::ffi::CStr;
use std::path::Path;

use crate::error::Error;
use crate::ffi::{Connection, HostFile, LockLevel, SqliteApi, VfsError, shim};
use crate::file::Header;
use crate::options::OpenOptions;
use crate::rollback::{is_hot, journal_path};

/// The family of journal modes a database is recorded in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JournalMode {
    /// `WAL`.
    Wal,
    /// `DELETE`, `TRUNCATE`, `PERSIST`, `MEMORY` or `OFF`.
    Rollback,
}

/// Lets SQLite finish a transaction or a rewind of a process that died: page 1 tells the journal mode only then.
pub(crate) fn heal(api: SqliteApi, path: &Path, options: &OpenOptions) -> Result<(), Error> {
    let journal = journal_path(path);
    match is_hot(&journal) {
        Ok(false) => return Ok(()),
        Ok(true) => {}
        Err(source) => return Err(Error::Io { action: "look at", path: journal, source }),
    }
    let action = "play back the journal that a dead process left";
    let vfs = shim::real_vfs(&api).map(|vfs| vfs.name());
    let connection = Connection::open(api, path, vfs, options.timeout).map_err(Error::sqlite(action))?;
    connection.execute(c"PRAGMA schema_version").map_err(Error::sqlite(action))?;
    Ok(())
}

/// Reads page 1's header; `None`: the file is empty.
pub(crate) fn look(api: &SqliteApi, path: &Path, options: &OpenOptions) -> Result<Option<Header>, Error> {
    let action = "open the database";
    let vfs = shim::real_vfs(api).ok_or_else(|| Error::internal("this SQLite has no VFS"))?;
    let mut file = HostFile::open(vfs, path).map_err(|error| match error {
        VfsError::Code(code) if code & 0xff == crate::ffi::types::SQLITE_READONLY => {
            Error::NotWritable { path: path.to_owned() }
        }
        other => Error::vfs(action)(other),
    })?;
    HostFile::retry_patiently(options.timeout, || file.lock(LockLevel::Shared))
        .map_err(Error::vfs("lock the database for reading"))?;
    if file.size().map_err(Error::vfs(action))? == 0 {
        return Ok(None);
    }
    let mut page = [0; Header::LEN];
    match file.read(&mut page, 0) {
        Ok(()) | Err(VfsError::ShortRead) => {}
        Err(error) => return Err(Error::vfs("read page 1")(error)),
    }
    Header::parse(&page).map(Some).ok_or_else(|| Error::NotADatabase {
        path: path.to_owned(),
        what: "its first bytes are not those of a database, or it is encrypted".to_owned(),
    })
}

/// Has SQLite set the journal mode, through a VFS of this name.
pub(crate) fn set_journal(
    api: SqliteApi,
    path: &Path,
    vfs: Option<&CStr>,
    options: &OpenOptions,
    sql: &CStr,
    mode: &str,
) -> Result<(), Error> {
    let action = "set the journal mode";
    let connection = Connection::open(api, path, vfs, options.timeout).map_err(Error::sqlite(action))?;
    match connection.execute(sql).map_err(Error::sqlite(action))?.as_deref() {
        Some(found) if found == mode => Ok(()),
        other => Err(Error::Unsupported {
            what: format!(
                "the database stays in journal mode {}; open it with journal=None to record that mode",
                other.unwrap_or("unknown")
            ),
        }),
    }
}
