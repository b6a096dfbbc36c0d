//! An engine with a file for each record, in a folder that several processes may use.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbrewind_volume::{AttachOptions, Error, KeyedMedium, Storage, Volume, VolumeStore};

pub type Records = BTreeMap<u64, Vec<u8>>;

/// A handle of the engine.
pub struct Folder {
    volume: Volume,
    files: Arc<Files>,
}

struct Files {
    path: PathBuf,
    lock: File,
}

/// The right to read and write, until it is dropped.
pub struct Held<'a>(&'a Folder);

impl Folder {
    pub fn attach(store: &VolumeStore, path: &Path, options: &AttachOptions) -> Result<Self, Error> {
        fs::create_dir_all(path).unwrap();
        let lock = File::create(path.join("lock")).unwrap();
        let files = Arc::new(Files { path: path.to_owned(), lock });
        let volume = Volume::attach_keyed(store, "folder", Arc::clone(&files), options)?;
        Ok(Self { volume, files })
    }

    pub fn begin(&self) -> Held<'_> {
        assert!(self.files.lock(Duration::from_secs(30)).unwrap());
        self.volume.enter().unwrap();
        Held(self)
    }
}

impl Deref for Folder {
    type Target = Volume;

    fn deref(&self) -> &Volume {
        &self.volume
    }
}

impl Held<'_> {
    /// `known`: the engine has looked at what is there.
    pub fn put(&self, key: u64, record: Option<&[u8]>, known: bool) {
        let Folder { volume, files } = self.0;
        if known {
            let mut old = Vec::new();
            let there = files.read(key, &mut old).unwrap();
            volume.will_change_with(key, there.then_some(&old)).unwrap();
        } else {
            volume.will_change(key).unwrap();
        }
        match record {
            Some(record) => files.write(key, record).unwrap(),
            None => files.remove(key).unwrap(),
        }
    }

    pub fn commit(&self) {
        self.0.volume.commit().unwrap();
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.files.unlock();
    }
}

/// All records, as they stand in the folder.
pub fn records(path: &Path) -> Records {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let keys = names.filter_map(|name| name.parse::<u64>().ok());
    keys.map(|key| (key, fs::read(path.join(key.to_string())).unwrap())).collect()
}

impl Files {
    fn of(&self, key: u64) -> PathBuf {
        self.path.join(key.to_string())
    }
}

fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl KeyedMedium for Files {
    fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool> {
        let found = unless_missing(fs::read(self.of(key)))?;
        into.extend_from_slice(found.as_deref().unwrap_or_default());
        Ok(found.is_some())
    }
    fn write(&self, key: u64, record: &[u8]) -> io::Result<()> {
        fs::write(self.of(key), record)
    }
    fn remove(&self, key: u64) -> io::Result<()> {
        unless_missing(fs::remove_file(self.of(key))).map(drop)
    }
}

impl Storage for Files {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        let started = Instant::now();
        loop {
            match self.lock.try_lock() {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) if started.elapsed() < timeout => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
    fn unlock(&self) {
        self.lock.unlock().unwrap();
    }
    // As if: a test that cuts the power keeps the page cache.
    fn syncs(&self) -> bool {
        true
    }
}
