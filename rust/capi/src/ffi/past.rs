use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use dbrewind_sqlite::At;

use super::database::dbrewind_db;
use super::error::dbrewind_error;
use super::given::{database, entry, path, pointer_place};
use super::moment::{dbrewind_moment, dbrewind_target};
use crate::codes::c_string;

/// A past moment, kept to be read. The caller's, to be freed once. While it is there, or a connection to it is, the store evicts
/// nothing.
pub struct dbrewind_past {
    uri: CString,
    moment: dbrewind_moment,
    time: u64,
    /// Keeps what it needs.
    at: At,
    /// What was told of reads that failed.
    told: Mutex<Vec<CString>>,
}

/// The database as it was at a moment, beside the live one: nothing is copied, nothing moves, nobody waits.
///
/// Open dbrewind_past_uri() with sqlite3_open_v2 and SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, through the SQLite that the handle
/// was opened with. Such a connection reads the same until the handle is closed, then its reads fail; dbrewind_past_failure() says
/// why. *past: to be freed with dbrewind_past_free; NULL after an error. DBR021 where recording runs in the keeper.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_at(
    db: *const dbrewind_db,
    to: dbrewind_target,
    past: *mut *mut dbrewind_past,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            pointer_place(past, "past")?;
            let entry = database(db)?;
            let at = entry.handle.at(&to.resolve(&entry)?)?;
            let found = dbrewind_past {
                uri: c_string(at.uri()),
                moment: dbrewind_moment::new(&entry, at.lsn()),
                time: at.time().get(),
                at,
                told: Mutex::default(),
            };
            past.write(Box::into_raw(Box::new(found)));
            Ok(())
        })
    }
}

/// What SQLite opens. Until it is freed. "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_past_uri(past: *const dbrewind_past) -> *const c_char {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { past.as_ref() }.map_or(c"".as_ptr(), |past| past.uri.as_ptr())
}

/// The moment; zeros for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_past_moment(past: *const dbrewind_past) -> dbrewind_moment {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { past.as_ref() }.map_or(dbrewind_moment { lsn: 0, database: 0 }, |past| past.moment)
}

/// When it was; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_past_time(past: *const dbrewind_past) -> u64 {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { past.as_ref() }.map_or(0, |past| past.time)
}

/// Why the newest read of the moment that failed did so: SQLite says no more than SQLITE_IOERR or SQLITE_CANTOPEN. Until it is
/// freed. NULL when none has failed, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_past_failure(past: *const dbrewind_past) -> *const c_char {
    // SAFETY: null or one that was not freed, as its comment asks.
    let Some(past) = (unsafe { past.as_ref() }) else { return ptr::null() };
    let Some(failure) = past.at.failure().map(|text| c_string(&text)) else { return ptr::null() };
    let mut told = past.told.lock().unwrap_or_else(PoisonError::into_inner);
    // Those told before stay: their bytes do not move with the list.
    if !told.contains(&failure) {
        told.push(failure.clone());
    }
    told.iter().find(|text| **text == failure).map_or(ptr::null(), |text| text.as_ptr())
}

/// Keeps the moment no longer. Connections that are open go on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_past_free(past: *mut dbrewind_past) {
    if !past.is_null() {
        // SAFETY: it came from `Box::into_raw`, and is freed once, as its comment asks.
        let past = unsafe { Box::from_raw(past) };
        // There is nobody to tell of a panic.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(past)));
    }
}

/// Copies the database as it was at a moment into a new file, a plain SQLite database, while others read and write.
///
/// The file has its name when it is complete and on disk; after an error there is none. DBR022 if there is a file at the path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_clone(
    db: *const dbrewind_db,
    to: dbrewind_target,
    file: *const c_char,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let file = path(file, "file")?;
            let entry = database(db)?;
            Ok(entry.handle.clone_to(&to.resolve(&entry)?, &file)?)
        })
    }
}
