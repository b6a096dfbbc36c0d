use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dbrewind_core::{Store, StoreOptions};

use crate::error::Error;

/// How a store is opened. The default changes nothing of one that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// Limit of the store in bytes, 1 MiB or more, from now on and for all who record into it. `None`: as it is, 16 GiB in a new one.
    pub limit: Option<u64>,
    /// How far back the store shall reach, from now on and for all. `None`: as it is, 72 h in a new one.
    pub window: Option<Duration>,
}

/// The folder with the histories of volumes. Cheap to clone.
///
/// Any number of volumes, of threads and of processes may record into one. Databases may, too: theirs is the same format.
///
/// ```
/// use dbrewind_volume::{AttachOptions, Memory, StoreSettings, Volume, VolumeStore};
///
/// # let folder = tempfile::tempdir()?;
/// let settings = StoreSettings { limit: Some(64 << 20), ..StoreSettings::default() };
/// let store = VolumeStore::open(&folder.path().join("history"), &settings)?;
/// for name in ["table", "index"] {
///     Volume::attach(&store, name, 4096, Memory::new(&[0; 8192]), &AttachOptions::anew())?.detach()?;
/// }
/// let names: Vec<_> = store.volumes()?.into_iter().map(|volume| volume.name).collect();
/// assert_eq!(names, ["index", "table"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct VolumeStore(pub(crate) Store);

impl VolumeStore {
    /// Opens the store in a folder, or makes one.
    ///
    /// # Errors
    /// `DBR015` when it is damaged, `DBR010` when there is no room, `DBR022` for a setting that cannot be.
    pub fn open(folder: &Path, settings: &StoreSettings) -> Result<Self, Error> {
        if let Some(limit) = settings.limit.filter(|limit| *limit < 1 << 20) {
            let what = format!("limit must be a number of bytes, 1048576 (1 MiB) or more, not {limit}");
            return Err(Error::Invalid { what });
        }
        if let Some(window) = settings.window.filter(|window| *window < Duration::from_secs(1)) {
            return Err(Error::Invalid { what: format!("window must be 1 second or more, not {window:?}") });
        }
        let default = StoreOptions::default();
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let limit = settings.limit.unwrap_or(default.limit);
        let store = Store::open(&folder, &StoreOptions { limit, ..default })?;
        if let Some(limit) = settings.limit {
            store.set_limit(limit);
        }
        if let Some(window) = settings.window {
            store.set_window(window);
        }
        // Without the thread all is as well, only larger.
        let _ = store.seal_in_background();
        // What is recorded beside the volumes may be there or not: who records it knows, and evicts it.
        store.keep_window(Arc::new(|_: &str| true));
        Ok(Self(store))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.dir()
    }
}
