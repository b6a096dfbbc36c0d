use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use dbrewind_core::Patience;

use super::api::SqliteApi;
use super::types::{self, sqlite3};

/// A connection of the host's SQLite, for what only SQLite should do: play back a hot journal, recover a
/// wal-index, create a WAL, change the journal mode. Closed on drop.
#[derive(Debug)]
pub(crate) struct Connection {
    api: SqliteApi,
    raw: NonNull<sqlite3>,
    busy: Duration,
}

// SAFETY: opened in the default (serialized or multi-thread) mode and used by one thread at a time: the type is
// not Sync.
unsafe impl Send for Connection {}

impl Connection {
    /// Opens an existing database for reading and writing, through the named VFS (`None`: the default one).
    ///
    /// # Errors
    /// SQLite's result code.
    pub(crate) fn open(
        api: SqliteApi,
        path: &Path,
        vfs: Option<&CStr>,
        busy: Duration,
    ) -> Result<Self, c_int> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| types::SQLITE_CANTOPEN)?;
        let flags = types::SQLITE_OPEN_READWRITE | types::SQLITE_OPEN_PRIVATECACHE;
        Self::open_named(api, &name, flags, vfs, busy)
    }

    /// Opens what an URI names, to be read only.
    ///
    /// # Errors
    /// SQLite's result code.
    pub(crate) fn open_uri(api: SqliteApi, uri: &str) -> Result<Self, c_int> {
        let name = CString::new(uri).map_err(|_| types::SQLITE_CANTOPEN)?;
        let flags = types::SQLITE_OPEN_READONLY | types::SQLITE_OPEN_PRIVATECACHE | types::SQLITE_OPEN_URI;
        Self::open_named(api, &name, flags, None, Duration::ZERO)
    }

    fn open_named(
        api: SqliteApi,
        name: &CStr,
        flags: c_int,
        vfs: Option<&CStr>,
        busy: Duration,
    ) -> Result<Self, c_int> {
        let mut raw = std::ptr::null_mut();
        let vfs = vfs.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: C strings that outlive the call, and a valid place for the result.
        let code = unsafe { (api.open_v2)(name.as_ptr(), &raw mut raw, flags, vfs) };
        // Even a failed open leaves a handle that must be closed: drop does it.
        let connection = Self { api, raw: NonNull::new(raw).ok_or(types::SQLITE_NOMEM)?, busy };
        if code != types::SQLITE_OK {
            return Err(code);
        }
        Ok(connection)
    }

    /// Runs one statement and returns the first column of the last row, if there was one. While others are in its
    /// way it is tried again and again, for as long as the connection was opened with: SQLite waits for some locks, and
    /// refuses others at once, such as the one that a change of the journal mode needs.
    ///
    /// # Errors
    /// SQLite's result code; `SQLITE_INTERRUPT` when the calling thread is interrupted.
    pub(crate) fn execute(&self, sql: &CStr) -> Result<Option<String>, c_int> {
        let started = Instant::now();
        let mut patience = Patience::new();
        let mut pause = Duration::from_micros(20);
        loop {
            let left = self.busy.saturating_sub(started.elapsed());
            let at_once = patience.slice().map_or(left, |slice| left.min(slice));
            // Rounded up: a wait of nothing would be repeated at once, and spin.
            let millis = c_int::try_from(at_once.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX);
            // SAFETY: the connection is open.
            unsafe { (self.api.busy_timeout)(self.raw.as_ptr(), millis) };
            let began = Instant::now();
            match self.execute_once(sql) {
                Err(code) if code & 0xff == types::SQLITE_BUSY && started.elapsed() < self.busy => {}
                other => return other,
            }
            if patience.is_over() {
                return Err(types::SQLITE_INTERRUPT);
            }
            if began.elapsed() < at_once {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(2));
            }
        }
    }

    fn execute_once(&self, sql: &CStr) -> Result<Option<String>, c_int> {
        let mut row: Option<String> = None;
        let out: *mut c_void = (&raw mut row).cast();
        // SAFETY: the connection is open, the statement a C string; `row` outlives the call, which is synchronous.
        let code = unsafe {
            (self.api.exec)(self.raw.as_ptr(), sql.as_ptr(), Some(keep_row), out, std::ptr::null_mut())
        };
        if code == types::SQLITE_OK { Ok(row) } else { Err(code) }
    }
}

/// Called by `sqlite3_exec` for each row; `out` is the `Option<String>` of `execute`.
unsafe extern "C" fn keep_row(
    out: *mut c_void,
    columns: c_int,
    values: *mut *mut c_char,
    _names: *mut *mut c_char,
) -> c_int {
    if columns >= 1 && !values.is_null() {
        // SAFETY: sqlite3_exec passes our own pointer through, and an array of `columns` strings or nulls.
        unsafe {
            let value = *values;
            *out.cast::<Option<String>>() =
                (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned());
        }
    }
    0
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: open, and not used after this.
        unsafe { (self.api.close)(self.raw.as_ptr()) };
    }
}
