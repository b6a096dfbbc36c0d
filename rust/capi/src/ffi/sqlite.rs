use std::ffi::{CStr, c_void};
use std::path::Path;

use dbrewind_sqlite::SqliteApi;

use super::given::{CStruct, address, options};
use crate::fault::Fault;

/// The functions of one copy of SQLite; dbrewind_sqlite_fill() fills it. All of one copy, which stays for the life of the
/// process. next_stmt and what follows may be NULL: errors say less then.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_sqlite_api {
    /// sizeof(dbrewind_sqlite_api)
    pub size: usize,
    /// sqlite3_vfs_find
    pub vfs_find: Option<unsafe extern "C" fn()>,
    /// sqlite3_vfs_register
    pub vfs_register: Option<unsafe extern "C" fn()>,
    /// sqlite3_open_v2
    pub open_v2: Option<unsafe extern "C" fn()>,
    /// sqlite3_close
    pub close: Option<unsafe extern "C" fn()>,
    /// sqlite3_exec
    pub exec: Option<unsafe extern "C" fn()>,
    /// sqlite3_busy_timeout
    pub busy_timeout: Option<unsafe extern "C" fn()>,
    /// sqlite3_libversion_number
    pub libversion_number: Option<unsafe extern "C" fn()>,
    /// sqlite3_threadsafe; NULL: not checked
    pub threadsafe: Option<unsafe extern "C" fn()>,
    /// sqlite3_next_stmt
    pub next_stmt: Option<unsafe extern "C" fn()>,
    /// sqlite3_stmt_busy
    pub stmt_busy: Option<unsafe extern "C" fn()>,
    /// sqlite3_sql
    pub sql: Option<unsafe extern "C" fn()>,
    /// sqlite3_db_mutex
    pub db_mutex: Option<unsafe extern "C" fn()>,
    /// sqlite3_mutex_try
    pub mutex_try: Option<unsafe extern "C" fn()>,
    /// sqlite3_mutex_leave
    pub mutex_leave: Option<unsafe extern "C" fn()>,
    /// sqlite3_uri_parameter
    pub uri_parameter: Option<unsafe extern "C" fn()>,
}

// SAFETY: a size and pointers to functions that may be null.
unsafe impl CStruct for dbrewind_sqlite_api {
    const NAME: &'static str = "dbrewind_sqlite_api";
    const LEAST: usize = size_of::<Self>();
}

impl dbrewind_sqlite_api {
    fn find(&self, name: &CStr) -> Option<*mut c_void> {
        address(match name.to_bytes() {
            b"sqlite3_vfs_find" => self.vfs_find,
            b"sqlite3_vfs_register" => self.vfs_register,
            b"sqlite3_open_v2" => self.open_v2,
            b"sqlite3_close" => self.close,
            b"sqlite3_exec" => self.exec,
            b"sqlite3_busy_timeout" => self.busy_timeout,
            b"sqlite3_libversion_number" => self.libversion_number,
            b"sqlite3_threadsafe" => self.threadsafe,
            b"sqlite3_next_stmt" => self.next_stmt,
            b"sqlite3_stmt_busy" => self.stmt_busy,
            b"sqlite3_sql" => self.sql,
            b"sqlite3_db_mutex" => self.db_mutex,
            b"sqlite3_mutex_try" => self.mutex_try,
            b"sqlite3_mutex_leave" => self.mutex_leave,
            b"sqlite3_uri_parameter" => self.uri_parameter,
            _ => None,
        })
    }
}

/// The SQLite that the caller gives, or the one that the process shows; or in words why there is none.
///
/// # Safety
/// `given` is null or a table as its comment says.
pub(super) unsafe fn api(given: *const dbrewind_sqlite_api) -> Result<Result<SqliteApi, String>, Fault> {
    if given.is_null() {
        return Ok(SqliteApi::from_process().map_err(|why| {
            format!("{why}; give its functions in options.sqlite, which dbrewind_sqlite_fill() fills")
        }));
    }
    // SAFETY: by contract.
    let table = unsafe { options(given) }?;
    // SAFETY: by contract each field holds the function whose name it has.
    let api = unsafe { SqliteApi::from_symbols(Path::new("options.sqlite"), |name| table.find(name)) };
    api.map(Ok).map_err(|why| Fault::invalid(why.to_string()))
}
