//! Where the store of a database is when nobody asked for it to be elsewhere: beside it, named after it.

use std::path::{Path, PathBuf};

/// How the name of such a folder ends.
const ENDING: &str = "-rewind";

/// The folder beside a database, which holds its history unless another one is asked for.
#[must_use]
pub fn beside(database: &Path) -> PathBuf {
    let mut folder = database.as_os_str().to_owned();
    folder.push(ENDING);
    PathBuf::from(folder)
}

/// The database that a folder is beside of, by its name.
pub(crate) fn database_of(folder: &Path) -> Option<PathBuf> {
    folder.to_str()?.strip_suffix(ENDING).map(PathBuf::from)
}
