use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use super::join;
use super::registry;
use super::watched::{RESERVED, Watched};
use crate::file::FileId;

/// What the shim tells of one database file that a connection has open through it: passed on to the file's recorder, and, where
/// other connections and the recording are concerned, to the registry.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Watched>);

impl Watch {
    /// A file that was just opened at this path.
    pub(crate) fn open(path: &Path) -> Self {
        let watched = Arc::new(Watched::new(FileId::of(path).ok(), path));
        registry::add(&watched);
        Self(watched)
    }

    /// A file of which we could not learn which one it is. It is never recorded.
    pub(crate) fn unknown() -> Self {
        Self(Arc::new(Watched::new(None, Path::new(""))))
    }

    /// The connection sets a pragma.
    pub(crate) fn pragma(&self, name: &str, value: &str) {
        if self.0.pragma(name, value) {
            // Without a schema's name it is for the connection's other files, too.
            registry::others_of(&self.0).iter().for_each(|other| other.goes_without_journal());
        }
    }

    /// The connection has taken a lock of this level, 1 SHARED to 4 EXCLUSIVE.
    pub(crate) fn locked(&self, level: i32) {
        self.0.locked(level);
        // Here nothing is written yet, and nobody else can write.
        if level == RESERVED
            && join::is_on()
            && !self.is_recorded()
            && let Some(file) = self.file()
            && let Some(recorder) = join::find(self.path(), file)
        {
            registry::join(file, recorder);
        }
    }

    /// The connection has lowered its lock to this level.
    pub(crate) fn unlocked(&self, level: i32) {
        if let Some(mut handover) = self.0.unlocked(level)
            && let Some(file) = self.file()
            && handover.complete()
        {
            registry::hand_over(file, handover);
        }
    }

    /// The connection has closed the file.
    pub(crate) fn closed(&self) {
        registry::remove(&self.0);
    }
}

impl Deref for Watch {
    type Target = Watched;

    fn deref(&self) -> &Watched {
        &self.0
    }
}
