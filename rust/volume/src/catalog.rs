//! What is in a store, as who has no content of it sees it.

use std::path::Path;

use dbrewind_core::{Code, Lsn, ObjectId, Status, Store, StoreOptions, Timeline};

use crate::content::blocks_at;
use crate::error::Error;
use crate::forget::PREFIX;
use crate::marks::{Mark, listed};
use crate::store::VolumeStore;

/// A volume of a store.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The size of its blocks, in bytes; 0 if it has records under keys.
    pub block_size: u32,
    /// Somebody has it attached.
    pub attached: bool,
    /// Why recording has stopped, if it has.
    pub stopped: Option<Code>,
    /// The newest moment. `None`: nothing was ever recorded.
    pub now: Option<Lsn>,
    /// All marks, oldest first.
    pub marks: Vec<Mark>,
    /// How its history does.
    pub status: Status,
}

impl VolumeStore {
    /// Opens a store that is there, to see what is in it. Nothing is made, set, sealed or evicted through this one. What a power cut has left is settled, as by
    /// whoever opens a store.
    ///
    /// # Errors
    /// `DBR012` when there is none; `DBR015` when it is damaged.
    pub fn open_to_look(folder: &Path) -> Result<Self, Error> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        if !folder.join("locks").is_file() {
            return Err(Error::NoStore { folder });
        }
        Ok(Self(Store::open(&folder, &StoreOptions::default())?))
    }

    /// The volumes of this store, by name. One name may have several: of blocks of different sizes, and of records.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn volumes(&self) -> Result<Vec<Listed>, Error> {
        let mut names: Vec<String> = self.0.objects()?.into_iter().map(|(_, name)| name).collect();
        names.retain(|name| name.starts_with(PREFIX));
        names.sort();
        names.dedup();
        let mut volumes = Vec::new();
        for name in names {
            for (object, block_size) in self.0.objects_named(&name)? {
                volumes.push(self.listed(name.strip_prefix(PREFIX).unwrap_or(&name), object, block_size)?);
            }
        }
        Ok(volumes)
    }

    /// What else is recorded into this store: databases, as it calls them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn databases(&self) -> Result<Vec<String>, Error> {
        // A name that begins so belongs to no path.
        let names = self.0.objects()?.into_iter().map(|(_, name)| name);
        Ok(names.filter(|name| !name.starts_with("//")).collect())
    }

    fn listed(&self, name: &str, object: ObjectId, block_size: u32) -> Result<Listed, Error> {
        let store = &self.0;
        let mut history = Timeline::lazy(object);
        history.catch_up(store)?;
        let stopped = store.broken(object);
        let marks = listed(&history, stopped.is_some(), |extent| blocks_at(block_size, extent));
        Ok(Listed {
            name: name.to_owned(),
            block_size,
            attached: store.is_attended(object)?,
            stopped,
            now: history.era().map(|_| history.last()),
            status: Status::new(store.window(object, &|_| true)?, marks.iter().map(|mark| mark.state)),
            marks,
        })
    }
}
