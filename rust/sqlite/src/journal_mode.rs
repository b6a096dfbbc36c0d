//! Which journal mode a database is in, and setting it; looked at and done through SQLite, before an engine is there.

use std::ffi::CStr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::ffi::types::SQLITE_BUSY;
use crate::ffi::{Connection, HostFile, SqliteApi, VfsError, shim};
use crate::file::{FileId, Header};
use crate::options::OpenOptions;
use crate::rollback::{Doing, Wait, in_the_way, is_hot, is_open_here, journal_path, lock_shared, open_by};

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
    let started = Instant::now();
    match connection.execute(c"PRAGMA schema_version") {
        // The journal is a living writer's.
        Err(code) if code & 0xff == SQLITE_BUSY => {
            drop(connection);
            let what = "cannot read the database".to_owned();
            let holder = in_the_way(path, Doing::Writing);
            Err(Error::Busy { what, holder, waited: started.elapsed() })
        }
        other => other.map(|_| ()).map_err(Error::sqlite(action)),
    }
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
    let id =
        FileId::of(path).map_err(|source| Error::Io { action: "look at", path: path.to_owned(), source })?;
    lock_shared(&mut file, &Wait::new(id, options.timeout))?;
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

/// Has SQLite set the journal mode, through a VFS of this name. Waits for others as long as the options say.
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
    let started = Instant::now();
    let answer = match connection.execute(sql) {
        Err(code) if code & 0xff == SQLITE_BUSY => {
            drop(connection);
            return Err(not_alone(&api, path, started.elapsed()));
        }
        other => other.map_err(Error::sqlite(action))?,
    };
    match answer.as_deref() {
        Some(found) if found == mode => Ok(()),
        other => Err(Error::Unsupported {
            what: format!(
                "the database stays in journal mode {}; open it with journal=None to record that mode",
                other.unwrap_or("unknown")
            ),
        }),
    }
}

/// The journal mode was not set, since somebody else was at the database all the time.
fn not_alone(api: &SqliteApi, path: &Path, waited: Duration) -> Error {
    let at_once = OpenOptions { timeout: Duration::ZERO, ..OpenOptions::default() };
    if matches!(look(api, path, &at_once), Ok(Some(header)) if header.versions == [2, 2]) {
        let what = "cannot leave WAL mode, since another connection has the database open".to_owned();
        let holder = open_by(path, is_open_here(path)).map(String::into_boxed_str);
        return Error::InUse { what, holder, waited };
    }
    let writing = shim::real_vfs(api)
        .and_then(|vfs| HostFile::open(vfs, path).ok())
        .is_some_and(|mut file| file.reserved_elsewhere().unwrap_or(false));
    let doing = if writing { Doing::InATransaction } else { Doing::Reading };
    let what = "cannot set the journal mode, since another connection is in a transaction";
    Error::Busy { what: what.to_owned(), holder: in_the_way(path, doing), waited }
}
