use std::ffi::{c_char, c_int};
use std::path::Path;

use dbrewind_keeper::{Choice, Handle, KeeperCommand};
use dbrewind_sqlite::JournalMode;

use super::error::dbrewind_error;
use super::given::{
    CStruct, Place, database, entry, entry_to_its_end, not_null, optional_path, options, path, pointer_place,
};
use super::moment::{dbrewind_moment, dbrewind_target};
use super::options::{dbrewind_options, int};
use super::sqlite::api;
use crate::fault::Fault;
use crate::registry::{Entry, HANDLES};

/// A database that is being recorded. Any thread may use it, until dbrewind_close; a later use is an error (DBR019).
pub struct dbrewind_db {
    _number: [u8; 0],
}

/// journal of dbrewind_info: the database is in WAL mode.
pub const DBREWIND_IN_WAL: u32 = 1;
/// journal of dbrewind_info: it is in a rollback mode (DELETE, TRUNCATE, PERSIST, MEMORY, OFF).
pub const DBREWIND_IN_ROLLBACK: u32 = 2;

/// What is known of a handle.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_info {
    /// sizeof(dbrewind_info)
    pub size: usize,
    /// The database file, absolute. Until dbrewind_close.
    pub path: *const c_char,
    /// The store's folder, absolute. Until dbrewind_close.
    pub store: *const c_char,
    /// DBREWIND_IN_...
    pub journal: u32,
    /// DBREWIND_ENGINE_INSIDE or DBREWIND_ENGINE_KEEPER
    pub engine: u32,
    /// Not 0: a connection of this process works with journal_mode OFF or MEMORY. If it is killed inside a transaction the database
    /// is torn, and its marks are lost.
    pub unguarded: c_int,
    /// 0
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl CStruct for dbrewind_info {
    const NAME: &'static str = "dbrewind_info";
    const LEAST: usize = size_of::<Self>();
}

/// Attaches to the existing database at a path and records it from now on.
///
/// options: nullable. In the rollback modes connections must be opened after this call, through the same SQLite.
/// *db: the handle; NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_open(
    path: *const c_char,
    options: *const dbrewind_options,
    db: *mut *mut dbrewind_db,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            pointer_place(db, "db")?;
            let handle = HANDLES.insert(Entry::new(open(path, options)?))?;
            db.write(std::ptr::without_provenance_mut(handle));
            Ok(())
        })
    }
}

/// # Safety
/// As for `dbrewind_open`.
unsafe fn open(file: *const c_char, given: *const dbrewind_options) -> Result<Handle, Fault> {
    // SAFETY: by contract.
    let (file, given) = unsafe { (path(file, "path")?, options(given)?) };
    // SAFETY: by contract.
    let (options, keeper, api) =
        unsafe { (given.read()?, optional_path(given.keeper, "keeper")?, api(given.sqlite)?) };
    let keeper = KeeperCommand::new(keeper.as_deref().unwrap_or(Path::new("dbrewind-keeper")));
    Ok(Handle::open(given.choice()?, api, &keeper, &file, &options)?)
}

/// Stops recording. Marks stay valid until somebody writes unrecorded. Waits for calls of other threads on the handle.
///
/// db: nullable. The handle is closed after an error, too: the last commits could not be recorded then. Objects that it gave stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_close(db: *mut dbrewind_db, error: *mut *mut dbrewind_error) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry_to_its_end(error, || {
            if db.is_null() {
                return Ok(());
            }
            Ok(HANDLES.remove(db.addr())?.handle.close()?)
        })
    }
}

/// What is known of a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_get_info(
    db: *const dbrewind_db,
    info: *mut dbrewind_info,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let place = Place::required(info)?;
            let entry = database(db)?;
            place.fill(dbrewind_info {
                size: 0,
                path: entry.path.as_ptr(),
                store: entry.store.as_ptr(),
                journal: match entry.handle.journal() {
                    JournalMode::Wal => DBREWIND_IN_WAL,
                    JournalMode::Rollback => DBREWIND_IN_ROLLBACK,
                },
                engine: match entry.handle.engine() {
                    Choice::Keeper => super::options::DBREWIND_ENGINE_KEEPER,
                    Choice::Inside | Choice::Auto => super::options::DBREWIND_ENGINE_INSIDE,
                },
                unguarded: int(entry.handle.is_unguarded()),
                reserved: 0,
            });
            Ok(())
        })
    }
}

/// The present moment: the newest commit or rewind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_now(
    db: *const dbrewind_db,
    now: *mut dbrewind_moment,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            not_null(now, "now")?;
            let entry = database(db)?;
            now.write(dbrewind_moment::new(&entry, entry.handle.now()?));
            Ok(())
        })
    }
}

/// Whether anything was committed since a moment: *dirty is 1 or 0. Takes the same time for any change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_dirty_since(
    db: *const dbrewind_db,
    to: dbrewind_target,
    dirty: *mut c_int,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            not_null(dirty, "dirty")?;
            let entry = database(db)?;
            dirty.write(int(entry.handle.dirty_since(&to.resolve(&entry)?)?));
            Ok(())
        })
    }
}

/// xxh3-128 of every page, but for the bytes that move forward: equal digests, equal databases. Reads the whole file.
///
/// digest: 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_digest(
    db: *const dbrewind_db,
    digest: *mut u8,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            not_null(digest, "digest")?;
            let bytes = database(db)?.handle.digest()?;
            bytes.as_ptr().copy_to_nonoverlapping(digest, bytes.len());
            Ok(())
        })
    }
}
