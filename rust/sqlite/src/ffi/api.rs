use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::statements::StatementApi;
use super::types::{BusyTimeout, Close, Exec, LibVersionNumber, OpenV2, VfsFind, VfsRegister};

/// The functions of one copy of SQLite: the host's own, reached without linking any.
///
/// A process can hold several copies; each has its own list of VFSs and its own file locks, so a table
/// stands for exactly one of them. Copying it copies pointers. The copy of SQLite stays loaded for the
/// life of the process.
#[derive(Clone, Copy, Debug)]
pub struct SqliteApi {
    pub(crate) vfs_find: VfsFind,
    pub(crate) vfs_register: VfsRegister,
    pub(crate) open_v2: OpenV2,
    pub(crate) close: Close,
    pub(crate) exec: Exec,
    pub(crate) busy_timeout: BusyTimeout,
    pub(crate) libversion_number: LibVersionNumber,
    /// For the text of errors; may be missing.
    pub(crate) statements: Option<StatementApi>,
}

/// Why a copy of SQLite cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The shared object could not be opened.
    #[error("cannot open the library {path}: {why}")]
    NotLoaded {
        /// The file that was asked for.
        path: PathBuf,
        /// The loader's words.
        why: String,
    },
    /// It is loaded, but does not show SQLite's functions: a static build that hides them.
    #[error("{path} does not show SQLite's function {symbol}: a build that hides its symbols")]
    Hidden {
        /// The file that was asked for.
        path: PathBuf,
        /// The first function that is missing.
        symbol: String,
    },
    /// It was compiled without mutexes (`SQLITE_THREADSAFE=0`).
    #[error(
        "{path} has a SQLite without mutexes (SQLITE_THREADSAFE=0), which threads of the recording cannot use"
    )]
    SingleThreaded {
        /// The file that was asked for.
        path: PathBuf,
    },
}

impl SqliteApi {
    /// Reaches the SQLite that a loaded shared object uses: itself, or a library it depends on.
    ///
    /// For Python that object is `_sqlite3.__file__`. The object stays open for ever.
    ///
    /// # Errors
    /// [`ApiError::NotLoaded`] when it cannot be opened, [`ApiError::Hidden`] when a function is missing.
    /// Nothing has changed then.
    pub fn from_library(path: &Path) -> Result<Self, ApiError> {
        let not_loaded = |why: String| ApiError::NotLoaded { path: path.to_owned(), why };
        let name =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| not_loaded("path has a NUL".into()))?;
        // SAFETY: `name` is a NUL-terminated string that outlives the call. Loading an object runs its
        // constructors; callers name objects that the process has loaded already.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(not_loaded(loader_error()));
        }
        let find = |symbol: &'static CStr| {
            // SAFETY: `handle` came from a successful dlopen and is never closed; `symbol` is a C string.
            let address = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        // SAFETY: `find` looks the very name up.
        unsafe { Self::from_symbols(path, find) }
    }

    /// Reaches the SQLite whose functions this process shows to everybody: the library that the program is linked with,
    /// or the program itself if it exports them.
    ///
    /// # Errors
    /// As [`from_library`](Self::from_library).
    pub fn from_process() -> Result<Self, ApiError> {
        let find = |symbol: &'static CStr| {
            // SAFETY: `symbol` is a C string, RTLD_DEFAULT needs no handle.
            let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        // SAFETY: `find` looks the very name up.
        unsafe { Self::from_symbols(Path::new("this program"), find) }
    }

    /// Takes the functions of a copy of SQLite from somebody who has them: a program that was compiled with it. `from` is
    /// what errors call it.
    ///
    /// # Errors
    /// [`ApiError::Hidden`] when a function is missing, [`ApiError::SingleThreaded`] when it is a SQLite without mutexes.
    ///
    /// # Safety
    /// `find` answers the address of the SQLite function of this name, all of one copy, or `None`. The copy stays for the
    /// life of the process.
    pub unsafe fn from_symbols(
        from: &Path,
        find: impl Fn(&'static CStr) -> Option<*mut c_void>,
    ) -> Result<Self, ApiError> {
        let need = |symbol: &'static CStr| {
            find(symbol).ok_or_else(|| ApiError::Hidden {
                path: from.to_owned(),
                symbol: symbol.to_string_lossy().into_owned(),
            })
        };
        // SAFETY: by contract.
        let statements = unsafe { StatementApi::find(&find) };
        if let Some(threadsafe) = find(c"sqlite3_threadsafe") {
            // SAFETY: by contract it is `int sqlite3_threadsafe(void)`.
            let threadsafe = unsafe { std::mem::transmute::<*mut c_void, LibVersionNumber>(threadsafe) };
            // SAFETY: it only returns a constant.
            if unsafe { threadsafe() } == 0 {
                return Err(ApiError::SingleThreaded { path: from.to_owned() });
            }
        }
        // SAFETY: each address was found under the name of the function whose C signature is the field's type;
        // both sides are non-null pointers of the same size.
        unsafe {
            Ok(Self {
                vfs_find: std::mem::transmute::<*mut c_void, VfsFind>(need(c"sqlite3_vfs_find")?),
                vfs_register: std::mem::transmute::<*mut c_void, VfsRegister>(need(c"sqlite3_vfs_register")?),
                open_v2: std::mem::transmute::<*mut c_void, OpenV2>(need(c"sqlite3_open_v2")?),
                close: std::mem::transmute::<*mut c_void, Close>(need(c"sqlite3_close")?),
                exec: std::mem::transmute::<*mut c_void, Exec>(need(c"sqlite3_exec")?),
                busy_timeout: std::mem::transmute::<*mut c_void, BusyTimeout>(need(c"sqlite3_busy_timeout")?),
                libversion_number: std::mem::transmute::<*mut c_void, LibVersionNumber>(need(
                    c"sqlite3_libversion_number",
                )?),
                statements,
            })
        }
    }

    /// The SQLite that is compiled into this binary. For the keeper, the command line and tests: never
    /// for a library inside somebody's process, where a second copy on the same file breaks its locks.
    #[cfg(feature = "bundled")]
    #[must_use]
    pub fn bundled() -> Self {
        use libsqlite3_sys as sys;
        let named = |name: &CStr| -> Option<*mut c_void> {
            let function = match name.to_bytes() {
                b"sqlite3_next_stmt" => sys::sqlite3_next_stmt as *const (),
                b"sqlite3_stmt_busy" => sys::sqlite3_stmt_busy as *const (),
                b"sqlite3_sql" => sys::sqlite3_sql as *const (),
                b"sqlite3_db_mutex" => sys::sqlite3_db_mutex as *const (),
                b"sqlite3_mutex_try" => sys::sqlite3_mutex_try as *const (),
                b"sqlite3_mutex_leave" => sys::sqlite3_mutex_leave as *const (),
                b"sqlite3_uri_parameter" => sys::sqlite3_uri_parameter as *const (),
                _ => return None,
            };
            Some(function.cast_mut().cast())
        };
        // SAFETY: the names and the functions are the same.
        let statements = unsafe { StatementApi::find(named) };
        // SAFETY: the bindings' types and ours describe the same C functions; they differ only in the names
        // of structs with equal layout (a test in this file compares them).
        unsafe {
            Self {
                vfs_find: std::mem::transmute::<*const (), VfsFind>(sys::sqlite3_vfs_find as *const ()),
                vfs_register: std::mem::transmute::<*const (), VfsRegister>(
                    sys::sqlite3_vfs_register as *const (),
                ),
                open_v2: std::mem::transmute::<*const (), OpenV2>(sys::sqlite3_open_v2 as *const ()),
                close: std::mem::transmute::<*const (), Close>(sys::sqlite3_close as *const ()),
                exec: std::mem::transmute::<*const (), Exec>(sys::sqlite3_exec as *const ()),
                busy_timeout: std::mem::transmute::<*const (), BusyTimeout>(
                    sys::sqlite3_busy_timeout as *const (),
                ),
                libversion_number: std::mem::transmute::<*const (), LibVersionNumber>(
                    sys::sqlite3_libversion_number as *const (),
                ),
                statements,
            }
        }
    }

    /// The version of this SQLite as one number: 3.45.1 is 3045001.
    #[must_use]
    pub fn version(&self) -> i32 {
        // SAFETY: the function takes nothing and only returns a constant.
        unsafe { (self.libversion_number)() }
    }

    /// Identity of this copy of SQLite within the process: equal for two tables of the same copy.
    #[must_use]
    pub fn identity(&self) -> usize {
        self.vfs_find as usize
    }
}

fn loader_error() -> String {
    // SAFETY: dlerror returns null or a string that is valid until the next call on this thread; it is
    // copied at once.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            return "unknown error".to_owned();
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_int;

    use super::*;

    #[cfg(feature = "bundled")]
    #[test]
    fn layouts_equal_the_generated_bindings() {
        use super::super::types;
        use libsqlite3_sys as sys;
        macro_rules! same {
            ($name:ident, $($field:ident),*) => {
                assert_eq!(size_of::<types::$name>(), size_of::<sys::$name>());
                $(assert_eq!(
                    std::mem::offset_of!(types::$name, $field),
                    std::mem::offset_of!(sys::$name, $field)
                );)*
            };
        }
        same!(sqlite3_file, pMethods);
        same!(
            sqlite3_io_methods,
            iVersion,
            xClose,
            xLock,
            xFileControl,
            xShmMap,
            xShmUnmap,
            xFetch,
            xUnfetch
        );
        same!(sqlite3_vfs, szOsFile, mxPathname, pNext, zName, pAppData, xOpen, xSleep, xNextSystemCall);
    }

    #[cfg(feature = "bundled")]
    #[test]
    fn bundled_has_a_version() {
        assert!(SqliteApi::bundled().version() > 3_030_000);
    }

    #[test]
    fn missing_library_is_named() {
        let error = SqliteApi::from_library(Path::new("/nowhere/libsqlite3.so")).unwrap_err();
        assert!(matches!(error, ApiError::NotLoaded { .. }), "{error}");
    }

    #[test]
    fn library_without_sqlite_is_hidden() {
        let error = SqliteApi::from_library(Path::new("libm.so.6")).unwrap_err();
        assert!(matches!(error, ApiError::Hidden { .. }), "{error}");
    }

    #[test]
    fn a_sqlite_without_mutexes_is_refused() {
        unsafe extern "C" fn no() -> c_int {
            0
        }
        let find = |symbol: &'static CStr| {
            (symbol == c"sqlite3_threadsafe").then_some((no as *const ()).cast_mut().cast::<c_void>())
        };
        // SAFETY: the one function it has is what its name says.
        let error = unsafe { SqliteApi::from_symbols(Path::new("it"), find) }.unwrap_err();
        assert!(matches!(error, ApiError::SingleThreaded { .. }), "{error}");
    }
}
