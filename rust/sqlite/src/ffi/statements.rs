//! What another connection of the host's SQLite is doing, for the text of an error.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

use super::api::SqliteApi;
use super::types::{self, sqlite3};

/// A statement's text is cut here.
const LONGEST: usize = 80;

/// The functions for it. Every SQLite since 3.7 has them; without them errors say less.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatementApi {
    next_stmt: unsafe extern "C" fn(*mut sqlite3, *mut c_void) -> *mut c_void,
    stmt_busy: unsafe extern "C" fn(*mut c_void) -> c_int,
    sql: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    db_mutex: unsafe extern "C" fn(*mut sqlite3) -> *mut c_void,
    mutex_try: unsafe extern "C" fn(*mut c_void) -> c_int,
    mutex_leave: unsafe extern "C" fn(*mut c_void),
    uri_parameter: unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char,
}

impl StatementApi {
    /// Looks the functions up.
    ///
    /// # Safety
    /// `find` answers the address of the SQLite function of this name, or `None`.
    pub(super) unsafe fn find(find: impl Fn(&'static CStr) -> Option<*mut c_void>) -> Option<Self> {
        // SAFETY: by contract each address is that of the function whose C signature is the field's type.
        unsafe {
            Some(Self {
                next_stmt: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut sqlite3, *mut c_void) -> *mut c_void,
                >(find(c"sqlite3_next_stmt")?),
                stmt_busy: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> c_int>(
                    find(c"sqlite3_stmt_busy")?,
                ),
                sql: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> *const c_char>(
                    find(c"sqlite3_sql")?,
                ),
                db_mutex: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut sqlite3) -> *mut c_void>(
                    find(c"sqlite3_db_mutex")?,
                ),
                mutex_try: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> c_int>(
                    find(c"sqlite3_mutex_try")?,
                ),
                mutex_leave: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(find(
                    c"sqlite3_mutex_leave",
                )?),
                uri_parameter: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char,
                >(find(c"sqlite3_uri_parameter")?),
            })
        }
    }

    /// Whether the name that a VFS was given asks for a shared cache.
    ///
    /// # Safety
    /// `name` is the one that SQLite passed to xOpen for a main database.
    pub(super) unsafe fn asks_for_shared_cache(&self, name: *const c_char) -> bool {
        // SAFETY: by contract; the answer is null or a C string behind the name.
        unsafe {
            let value = (self.uri_parameter)(name, c"cache".as_ptr());
            !value.is_null() && CStr::from_ptr(value) != c"private"
        }
    }
}

/// The connection that has opened a file, known by the place where SQLite keeps its handle.
#[derive(Debug)]
pub(crate) struct Opener {
    place: NonNull<*mut sqlite3>,
    api: SqliteApi,
}

// SAFETY: what is done with the connection is done under its own mutex.
unsafe impl Send for Opener {}

impl Opener {
    /// # Safety
    /// `place` is the argument of `SQLITE_FCNTL_PDB` on a file whose name does not ask for a shared cache, of the copy
    /// of SQLite that `api` stands for. The value is gone before that file's real xClose is called.
    pub(super) unsafe fn new(place: NonNull<*mut sqlite3>, api: SqliteApi) -> Self {
        Self { place, api }
    }

    /// Which connection it is: a number that no other one has as long as it is open.
    pub(crate) fn connection(&self) -> Option<usize> {
        if self.api.shares_caches() {
            return None;
        }
        // SAFETY: as in `busy_statement`; the handle is not looked into.
        let connection = unsafe { *self.place.as_ptr() };
        (!connection.is_null()).then_some(connection as usize)
    }

    /// The text of a statement that it is in the midst of, if that can be known without waiting.
    pub(crate) fn busy_statement(&self) -> Option<String> {
        let api = self.api.statements?;
        if self.api.shares_caches() {
            // The handle may be of a connection that is closed already.
            return None;
        }
        // SAFETY: as long as the file is not closed its b-tree stands, and so does the place; without a shared cache the
        // connection in it outlives the b-tree. Its mutex keeps its other threads from finalizing statements meanwhile;
        // without a mutex nobody knows who uses it now.
        unsafe {
            let connection = *self.place.as_ptr();
            if connection.is_null() {
                return None;
            }
            let mutex = (api.db_mutex)(connection);
            if mutex.is_null() || (api.mutex_try)(mutex) != types::SQLITE_OK {
                return None;
            }
            let mut statement = (api.next_stmt)(connection, std::ptr::null_mut());
            while !statement.is_null() && (api.stmt_busy)(statement) == 0 {
                statement = (api.next_stmt)(connection, statement);
            }
            let text = if statement.is_null() { std::ptr::null() } else { (api.sql)(statement) };
            let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
            (api.mutex_leave)(mutex);
            text.map(|text| shortened(&text))
        }
    }
}

/// On one line, and not too long.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

impl SqliteApi {
    /// Whether `sqlite3_enable_shared_cache` is on: two connections to one named database in memory are one then.
    fn shares_caches(&self) -> bool {
        const FLAGS: c_int =
            types::SQLITE_OPEN_READWRITE | types::SQLITE_OPEN_CREATE | types::SQLITE_OPEN_URI;
        let name = c"file:dbrewind-probe?mode=memory";
        let mut both = [std::ptr::null_mut(); 2];
        // SAFETY: C strings and places that outlive the calls; what was opened, even in vain, is closed.
        unsafe {
            let opened = both.iter_mut().all(|one| {
                (self.open_v2)(name.as_ptr(), &raw mut *one, FLAGS, std::ptr::null()) == types::SQLITE_OK
            });
            let run = |which: *mut sqlite3, sql: &CStr| {
                opened
                    && (self.exec)(which, sql.as_ptr(), None, std::ptr::null_mut(), std::ptr::null_mut())
                        == types::SQLITE_OK
            };
            let [one, other] = both;
            let shared = !run(one, c"create table t(x)") || run(other, c"select x from t");
            for one in both {
                (self.close)(one);
            }
            shared
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_broken_lines_are_shortened() {
        assert_eq!(shortened("select 1\n  from t"), "select 1 from t");
        let long = shortened(&"ä".repeat(200));
        assert_eq!(long, format!("{}...", "ä".repeat(80)));
    }

    #[cfg(feature = "bundled")]
    #[test]
    fn caches_are_not_shared_unless_asked_for() {
        assert!(!SqliteApi::bundled().shares_caches());
    }
}
