//! From a path to an engine: which file, which journal mode, which store.

use std::ffi::CStr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dbrewind_core::{Store, StoreOptions};

use crate::database::JournalMode;
use crate::engine::{Engine, History, SharedHistory};
use crate::error::Error;
use crate::ffi::{Connection, HostFile, LockLevel, SqliteApi, VfsError, shim};
use crate::file::Header;
use crate::handover::Hook;
use crate::naming::{beside, name_in};
use crate::objects::{latest_block, lost_marks};
use crate::options::{Journal, OpenOptions};
use crate::rollback::{Rollback, is_hot, journal_path};
use crate::switch::{enter_wal, leave_wal};
use crate::wal::WalEngine;

/// What [`open`] found and made.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) store_path: PathBuf,
    pub(crate) history: SharedHistory,
    pub(crate) engine: Box<dyn Engine>,
}

/// The page size of a database that has no page yet.
const DEFAULT_PAGE: u32 = 4096;

/// The lowest limit of a store, in bytes: anything below is a mistake in the unit.
const LOWEST_LIMIT: u64 = 1 << 20;

/// Opens the store, and gives it its limit.
fn open_store(folder: &Path, limit: Option<u64>) -> Result<Store, Error> {
    let default = StoreOptions::default();
    let store = Store::open(folder, &StoreOptions { limit: limit.unwrap_or(default.limit), ..default })?;
    if let Some(limit) = limit {
        store.set_limit(limit);
    }
    Ok(store)
}

/// Makes the store's folder, if there is none: not open to more users than the database, since it holds old pages. A
/// failure is met again by whoever opens the store.
fn make_folder(store: &Path, database: &Path) {
    let Ok(found) = std::fs::metadata(database) else { return };
    let mode = found.permissions().mode() & 0o666;
    // Who may read may look into the folder; its owner may do everything.
    let mode = mode | (mode & 0o444) >> 2 | 0o700;
    let parent = store.parent().map(std::fs::create_dir_all);
    if matches!(parent, Some(Ok(()))) {
        let _ = std::fs::DirBuilder::new().mode(mode).create(store);
    }
}

/// See [`crate::Database::open`].
///
/// `hook`: what to call when somebody switches the database to WAL mode.
pub(crate) fn open(api: SqliteApi, path: &Path, options: &OpenOptions, hook: Hook) -> Result<Opened, Error> {
    refuse_memory(path)?;
    if let Some(limit) = options.limit.filter(|limit| *limit < LOWEST_LIMIT) {
        let what = format!("limit must be a number of bytes, {LOWEST_LIMIT} (1 MiB) or more, not {limit}");
        return Err(Error::Invalid { what });
    }
    let path = std::fs::canonicalize(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::FileMissing { path: path.to_owned() },
        _ => Error::Io { action: "look at", path: path.to_owned(), source },
    })?;
    if path.is_dir() {
        return Err(Error::NotADatabase { path, what: "it is a folder".to_owned() });
    }
    heal(api, &path, options)?;
    let mut header = look(&api, &path, options)?;
    let store_path = options.store.clone().unwrap_or_else(|| beside(&path));
    // The working directory may change.
    let store_path = std::path::absolute(&store_path).unwrap_or(store_path);
    make_folder(&store_path, &path);
    let store = open_store(&store_path, options.limit)?;
    let name = name_in(&store, &path)?;
    let recorded = latest_block(&store, &name)?;
    let wanted = match (options.journal, header.map(|header| header.versions)) {
        (Some(Journal::Wal), None | Some([1, 1])) => Some(JournalMode::Wal),
        (Some(Journal::Delete), Some([2, 2])) => Some(JournalMode::Rollback),
        _ => None,
    };
    // Without a history SQLite alone can do it.
    if wanted.is_some() && recorded.is_none() {
        let (sql, mode) = match wanted {
            Some(JournalMode::Wal) => (c"PRAGMA journal_mode = WAL", "wal"),
            _ => (c"PRAGMA journal_mode = DELETE", "delete"),
        };
        let vfs = shim::real_vfs(&api).map(|vfs| vfs.name());
        set_journal(api, &path, vfs, options, sql, mode)?;
        header = look(&api, &path, options)?;
    }
    let present = match header {
        Some(header) if header.versions == [2, 2] => JournalMode::Wal,
        _ => JournalMode::Rollback,
    };
    let page = header.map_or(DEFAULT_PAGE, |header| header.page_size);
    // In the rollback modes blocks stay what they were when VACUUM changes the page size.
    let block = match present {
        JournalMode::Rollback => recorded.unwrap_or(page),
        JournalMode::Wal => page,
    };
    let object = store.object(&name, block)?;
    if present == JournalMode::Wal
        && let Some(other) = recorded.filter(|recorded| *recorded != page)
    {
        lost_marks(&store, store.object(&name, other)?, object)?;
    }
    let history = Arc::new(Mutex::new(History::new(store, object, block)));
    let shared = || Arc::clone(&history);
    let engine: Box<dyn Engine> = match (present, wanted.filter(|_| recorded.is_some())) {
        (JournalMode::Rollback, Some(JournalMode::Wal)) => enter_wal(api, &path, shared(), block, options)?,
        (JournalMode::Wal, Some(JournalMode::Rollback)) => {
            Box::new(leave_wal(api, &path, shared(), block, options, hook)?)
        }
        (JournalMode::Rollback, _) => Box::new(Rollback::open(api, &path, shared(), block, options, hook)?),
        (JournalMode::Wal, _) => Box::new(WalEngine::open(api, &path, block, shared(), options)?),
    };
    Ok(Opened { path, store_path, history, engine })
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

/// A database without a file has nothing that could be recorded.
fn refuse_memory(path: &Path) -> Result<(), Error> {
    let name = path.to_string_lossy();
    let memory = name.is_empty()
        || name.contains(":memory:")
        || (name.starts_with("file:") && name.contains("mode=memory"))
        || (name.starts_with("file:") && name.contains("vfs=memdb"));
    if memory {
        let what = format!(
            "{name:?} is a database in memory, which has no file to record; use a file, on a tmpfs such as \
             /dev/shm if it must be fast"
        );
        return Err(Error::Unsupported { what });
    }
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
