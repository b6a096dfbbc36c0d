//! The SQLite that this Python's `sqlite3` module uses.

use std::path::PathBuf;

use dbrewind_cli::HostSqlite;
use dbrewind_sqlite::SqliteApi;
use pyo3::prelude::*;

/// Finds it through the file of the module `_sqlite3`, which is linked to it or contains it.
///
/// # Errors
/// In words: why it is out of reach.
pub(crate) fn sqlite(py: Python<'_>) -> Result<SqliteApi, String> {
    let module =
        py.import("_sqlite3").map_err(|error| format!("this Python has no module _sqlite3 ({error})"))?;
    let file: PathBuf = module.getattr("__file__").and_then(|file| file.extract()).map_err(|_| {
        // A build that compiles its modules into the interpreter, as python-build-standalone does.
        "this Python has its SQLite compiled into the interpreter, with hidden symbols".to_owned()
    })?;
    SqliteApi::from_library(&file).map_err(|error| error.to_string())
}

/// The same for people who ask how it was reached.
pub(crate) fn described() -> HostSqlite {
    Python::attach(|py| {
        let version = py.version_info();
        let module = py.import("_sqlite3").ok();
        let text = |name| module.as_ref()?.getattr(name).ok()?.extract::<String>().ok();
        // A module without a file is in the interpreter.
        let interpreter = || py.import("sys").ok()?.getattr("executable").ok()?.extract::<String>().ok();
        HostSqlite {
            of: format!("Python {}.{}.{}", version.major, version.minor, version.patch),
            version: text("sqlite_version"),
            file: text("__file__").or_else(interpreter).map(PathBuf::from),
            reached: sqlite(py),
        }
    })
}
