//! From a path to an engine: which file, which journal mode, which store.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbrewind_core::{Clock, Store, StoreOptions};

use crate::engine::{Engine, History, JournalMode, SharedHistory};
use crate::error::Error;
use crate::ffi::{SqliteApi, may_read_and_write, shim};
use crate::handover::Hook;
use crate::journal_mode::{heal, look, set_journal};
use crate::naming::{left_behind, name_in, who_is_there};
use crate::notes::{is_of_another_file, tag};
use crate::objects::{latest_block, lost_marks};
use crate::options::{Journal, OpenOptions};
use crate::other_names::refuse_if_open_by_another;
use crate::registers::Registers;
use crate::rollback::Rollback;
use crate::store_folder::beside;
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
fn open_store(folder: &Path, limit: Option<u64>, clock: &Clock) -> Result<Store, Error> {
    let default = StoreOptions::default();
    let limits = StoreOptions { limit: limit.unwrap_or(default.limit), ..default };
    let store = Store::open_by(folder, &limits, clock.clone())?;
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

/// Whose history is gone on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// Where it is not the file's, it begins anew.
    Any,
    /// The file's own; else nothing is begun.
    SameFile,
}

/// See [`crate::Database::open`].
///
/// `hook`: what to call when somebody switches the database to WAL mode.
pub(crate) fn open(
    api: SqliteApi,
    path: &Path,
    options: &OpenOptions,
    whose: Whose,
    hook: Hook,
) -> Result<Opened, Error> {
    refuse_without_file(path)?;
    if let Some(limit) = options.limit.filter(|limit| *limit < LOWEST_LIMIT) {
        let what = format!("limit must be a number of bytes, {LOWEST_LIMIT} (1 MiB) or more, not {limit}");
        return Err(Error::Invalid { what });
    }
    if let Some(window) = options.window.filter(|window| *window < Duration::from_secs(1)) {
        return Err(Error::Invalid { what: format!("window must be 1 second or more, not {window:?}") });
    }
    if let Some(store) = &options.store {
        if store.as_os_str().is_empty() {
            return Err(Error::Invalid { what: "store must name a folder, and is empty".to_owned() });
        }
        if std::fs::metadata(store).is_ok_and(|found| !found.is_dir()) {
            let what = format!(
                "store must name a folder, and {} is a file; name one that is there or that can be made",
                store.display()
            );
            return Err(Error::Invalid { what });
        }
    }
    let path = std::fs::canonicalize(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::FileMissing { path: path.to_owned() },
        _ => Error::Io { action: "look at", path: path.to_owned(), source },
    })?;
    if !path.is_file() {
        // What `Store::open` makes in each.
        let is_store = path.join("control").is_file() && path.join("locks").is_file();
        let what = match path.is_dir() {
            true if is_store => {
                "it is a store: of a database, which is what to name, or of another engine's volumes, which only that \
                 engine marks and rewinds"
            }
            true => "it is a folder",
            false => "it is a device, a pipe or a socket",
        };
        return Err(Error::NotADatabase { path, what: what.to_owned() });
    }
    // SQLite would only say that it cannot open it. Whatever else there is shows when it does.
    if let Err(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =
        may_read_and_write(&path).map_err(|error| error.kind())
    {
        return Err(Error::NotWritable { path });
    }
    heal(api, &path, options)?;
    let mut header = look(&api, &path, options)?;
    if header.is_some_and(|header| header.versions == [2, 2]) {
        refuse_if_open_by_another(&path)?;
    }
    let store_path = options.store.clone().unwrap_or_else(|| beside(&path));
    if options.store.is_none()
        && std::fs::symlink_metadata(&store_path).is_err()
        && let Some(store) = left_behind(&path)?
    {
        return Err(Error::StoreLeftBehind { path, store });
    }
    // The working directory may change.
    let store_path = std::path::absolute(&store_path).unwrap_or(store_path);
    make_folder(&store_path, &path);
    let store = open_store(&store_path, options.limit, &options.clock)?;
    if let Some(window) = options.window {
        store.set_window(window);
    }
    // Before anything is said in the store. Nothing is evicted before its object has its name: what is not there is not kept.
    let alive = who_is_there(&store_path);
    store.make_room_by(Arc::clone(&alive));
    if options.seal {
        // Without the thread all is as well, only larger.
        let _ = store.seal_in_background();
    }
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
    if let Some(moments) = options.moments {
        Registers::new(&store, object).set_moments(moments);
    }
    if present == JournalMode::Wal
        && let Some(other) = recorded.filter(|recorded| *recorded != page)
    {
        lost_marks(&store, store.object(&name, other)?, object)?;
    }
    // Before anything is recorded, which may need room.
    store.keep_window(alive);
    let mut history = History::new(store, object, block);
    if whose == Whose::SameFile {
        refuse_another_file(&mut history, &path)?;
    }
    let history = Arc::new(Mutex::new(history));
    let shared = || Arc::clone(&history);
    let engine: Box<dyn Engine> = match (present, wanted.filter(|_| recorded.is_some())) {
        (JournalMode::Rollback, Some(JournalMode::Wal)) => enter_wal(api, &path, shared(), block, options)?,
        (JournalMode::Wal, Some(JournalMode::Rollback)) => {
            Box::new(leave_wal(api, &path, shared(), block, options, hook)?)
        }
        (JournalMode::Rollback, _) => Box::new(Rollback::open(api, &path, shared(), block, options, hook)?),
        (JournalMode::Wal, _) => Box::new(WalEngine::open(api, &path, block, shared(), options)?),
    };
    crate::engine::locked(&history).learn_era()?;
    Ok(Opened { path, store_path, history, engine })
}

/// Refuses a history that is of another file than the one at the path.
fn refuse_another_file(history: &mut History, path: &Path) -> Result<(), Error> {
    history.catch_up()?;
    let newest = history.timeline.notes(tag::ANCHOR).last();
    match newest.is_some_and(|note| is_of_another_file(&note.body, path)) {
        true => Err(Error::AnotherFile { path: path.to_owned() }),
        false => Ok(()),
    }
}

/// Refuses what names no file, as SQLite understands it. For who makes an absolute path of it before
/// [`Database::open`](crate::Database::open), which does this first.
///
/// # Errors
/// `DBR022` for an empty path, `DBR021` for a database in memory.
pub fn refuse_without_file(path: &Path) -> Result<(), Error> {
    let name = path.to_string_lossy();
    if name.is_empty() {
        let what = "the path is empty (a variable that is not set?); name the file of the database";
        return Err(Error::Invalid { what: what.to_owned() });
    }
    let memory = name.contains(":memory:")
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
