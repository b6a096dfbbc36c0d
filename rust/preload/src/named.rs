//! Which database is recorded, as `dbrewind run` says in the environment; children inherit it.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The database, and the folder of its history.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) database: PathBuf,
    pub(crate) store: PathBuf,
    /// Device and inode.
    file: Option<(u64, u64)>,
}

impl Named {
    /// What this process was told; `None`: it was not started by `dbrewind run`.
    pub(crate) fn get() -> Option<&'static Self> {
        static NAMED: OnceLock<Option<Named>> = OnceLock::new();
        let read = || {
            let variable = |name| std::env::var_os(name).map(PathBuf::from);
            let database = variable("DBREWIND_RUN_DATABASE")?;
            let store = variable("DBREWIND_RUN_STORE")?;
            let file = std::fs::metadata(&database).ok().map(|found| (found.dev(), found.ino()));
            Some(Self { database, store, file })
        };
        NAMED.get_or_init(read).as_ref()
    }

    /// Whether a path leads to the database.
    pub(crate) fn is_at(&self, path: &std::path::Path) -> bool {
        self.file.is_some()
            && std::fs::metadata(path).is_ok_and(|found| Some((found.dev(), found.ino())) == self.file)
    }
}
