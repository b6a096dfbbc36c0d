//! The program that the command is in: the command alone, or a Python that has the package.

use std::path::{Path, PathBuf};

use dbrewind_sqlite::SqliteApi;

/// What the command asks of the program that it is in. By default that is the command alone.
#[derive(Clone, Copy, Default, Debug)]
pub struct Host<'a> {
    /// A folder where `libdbrewind_preload.so` may be, before those of the program itself are looked into.
    pub beside: Option<&'a Path>,
    /// Finds the SQLite that the program uses, where that is not the command's own. Called at most once, and by `doctor` alone.
    pub sqlite: Option<fn() -> HostSqlite>,
}

/// The SQLite of a host.
#[derive(Debug)]
pub struct HostSqlite {
    /// Whose it is, such as `Python 3.11.7`.
    pub of: String,
    /// Its version, such as `3.40.1`, as the host tells it.
    pub version: Option<String>,
    /// The file that has it, or is linked with it, as far as the host knows.
    pub file: Option<PathBuf>,
    /// Its functions; or in words why they are out of reach.
    pub reached: Result<SqliteApi, String>,
}
