//! What a handle of a volume holds: an engine's content, or a file with the change that is being made to it.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use dbrewind_volume::{FileChange, FileVolume, Lsn, Volume};

use crate::fault::Fault;

/// A volume, and who reads and writes its content.
#[derive(Debug)]
pub(crate) enum Attached {
    /// An engine, which says so.
    Engine(Box<Volume>),
    /// We do.
    File(RecordedFile),
}

/// A file of which all accesses go through its handle.
#[derive(Debug)]
pub(crate) struct RecordedFile {
    file: Arc<FileVolume>,
    /// Whose change is under way. Held for as long as one of its calls takes, not while anybody waits for his turn.
    change: Mutex<Option<Change>>,
}

#[derive(Debug)]
struct Change {
    by: ThreadId,
    change: FileChange<Arc<FileVolume>>,
}

impl Deref for Attached {
    type Target = Volume;

    fn deref(&self) -> &Volume {
        match self {
            Self::Engine(volume) => volume,
            Self::File(recorded) => &recorded.file,
        }
    }
}

impl Attached {
    /// The volume of an engine: what an engine says of its content is for no other.
    pub(crate) fn engine(&self) -> Result<&Volume, Fault> {
        match self {
            Self::Engine(volume) => Ok(volume),
            Self::File(_) => {
                Err(Fault::invalid("this volume is a file; use the calls that begin with dbrewind_file"))
            }
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> Result<&RecordedFile, Fault> {
        match self {
            Self::File(recorded) => Ok(recorded),
            Self::Engine(_) => Err(Fault::invalid(
                "this volume is an engine's; dbrewind_volume_attach_file gives those that are files",
            )),
        }
    }

    /// Ends the change that is under way, whoever has begun it: what it wrote counts as a moment, unless the volume was abandoned.
    pub(crate) fn let_go(&self) {
        if let Self::File(recorded) = self {
            drop(recorded.change().take());
        }
    }
}

impl RecordedFile {
    pub(crate) fn new(file: FileVolume) -> Self {
        Self { file: Arc::new(file), change: Mutex::default() }
    }

    /// Begins a change, for this thread.
    pub(crate) fn begin(&self) -> Result<(), Fault> {
        let by = std::thread::current().id();
        if self.change().as_ref().is_some_and(|change| change.by == by) {
            return Err(Fault::invalid(
                "this thread has begun a change of the file already; call dbrewind_file_end first",
            ));
        }
        let change = Arc::clone(&self.file).begin_owned()?;
        *self.change() = Some(Change { by, change });
        Ok(())
    }

    /// Goes on with this thread's change.
    pub(crate) fn within<T>(
        &self,
        run: impl FnOnce(&mut FileChange<Arc<FileVolume>>) -> Result<T, dbrewind_volume::Error>,
    ) -> Result<T, Fault> {
        let mut change = self.change();
        Ok(run(&mut Self::own(&mut change)?.change)?)
    }

    /// Ends this thread's change.
    pub(crate) fn end(&self) -> Result<Lsn, Fault> {
        let mut change = self.change();
        Self::own(&mut change)?;
        match change.take() {
            Some(change) => Ok(change.change.commit()?),
            None => Err(none_begun()),
        }
    }

    fn own(change: &mut Option<Change>) -> Result<&mut Change, Fault> {
        let by = std::thread::current().id();
        change.as_mut().filter(|change| change.by == by).ok_or_else(none_begun)
    }

    fn change(&self) -> MutexGuard<'_, Option<Change>> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn none_begun() -> Fault {
    Fault::invalid("this thread has begun no change of the file; call dbrewind_file_begin first")
}
