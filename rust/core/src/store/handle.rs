use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::error::OpenError;
use crate::format::Owner;
use crate::map::{Generation, IdleLockFiles, LockFile};
use crate::ring;
use crate::seal::Recent;
use crate::segment::{Segment, Table};
use crate::store::StoreOptions;
use crate::store::aftercare::Aftercare;
use crate::store::batch::BatchFile;
use crate::store::control::Control;
use crate::store::locks;
use crate::store::objects::Objects;
use crate::store::populate::Populate;
use crate::store::window::Keeping;
use crate::sync::{AtomicU32, AtomicU64};
use crate::types::{Clock, Timestamp};

/// A store of change records, open in this process.
///
/// Cheap to clone, and all clones are the same store. Any number of processes may have a store open,
/// and all of their threads may append at once, without waiting for each other. What was appended
/// survives the death of any process; what was [synced](Store::sync) survives a power cut.
///
/// A child process made by `fork` must open the store itself: every call on an inherited one
/// answers an error with [`Code::Forked`](crate::Code::Forked), or 0 where there is no error to answer.
///
/// ```
/// use dbrewind_core::{Head, Key, Kind, Lsn, Store, StoreOptions};
/// # let folder = tempfile::tempdir()?;
/// let store = Store::open(&folder.path().join("app.db-rewind"), &StoreOptions::default())?;
/// let object = store.object("/srv/app.db", 4096)?;
/// let head = Head::new(Kind::After, object, Key::new(1), Lsn::new(1));
/// let at = store.append(head, &[b"a page"])?;
/// assert_eq!(store.read(at)?.body, b"a page");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) options: StoreOptions,
    pub(super) clock: Clock,
    pub(super) id: [u8; 16],
    pub(super) control: Control,
    /// Holds the lock of our slot.
    pub(super) locks: LockFile,
    pub(super) idle_locks: Arc<IdleLockFiles>,
    pub(super) owner: Owner,
    pub(super) generation: Generation,
    pub(super) segments: Table,
    /// The newest segment that is mapped here.
    pub(super) current: AtomicU32,
    pub(super) objects: Mutex<Objects>,
    pub(super) populate: Populate,
    pub(super) batch_file: BatchFile,
    pub(super) recent: Recent,
    /// Up to which segment sealed ones have been let go of.
    pub(super) let_go: AtomicU32,
    pub(super) aftercare: Aftercare,
    /// Up to which segment evicted ones have been let go of.
    pub(super) evicted: AtomicU32,
    pub(super) keeping: Keeping,
    /// Where the log was when somebody last looked whether an era has taken its part.
    pub(super) looked: AtomicU64,
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Store>();
};

impl Store {
    /// The store's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Whether both are open on the same store, and not only on the same path.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.inner.id == other.inner.id
    }
}

impl Inner {
    #[inline]
    pub(super) fn forked(&self) -> bool {
        self.generation.forked()
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        self.dir.join(locks::FILE)
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Adds a segment to those that are mapped.
    pub(super) fn map(&self, segment: Segment, id: u32) -> Result<&Arc<Segment>, OpenError> {
        let invalid = OpenError::Invalid { what: "segments are numbered from 1" };
        self.segments.insert(id, segment).ok_or(invalid)
    }

    /// Makes a mapped segment the one to append to.
    pub(super) fn move_on_to(&self, id: u32) {
        ring::move_on_to(&self.control, &self.current, id);
    }

    /// Has others take this owner for alive again, after one of its records was given up: its slot's
    /// generation was lost with a damaged control file.
    #[cold]
    pub(super) fn reclaim_slot(&self) {
        self.control.put_slot(self.owner, std::process::id());
    }

    /// Whether a writer is dead, so that what it reserved will never be committed.
    pub(super) fn dead(&self, owner: Owner) -> bool {
        // A slot has one owner at a time, by its lock; a newer one means that all others are gone.
        if !self.control.is_newest(owner) {
            return true;
        }
        if owner == self.owner {
            return false;
        }
        // Not known: alive. Then nothing is given up, and somebody will ask again.
        !self.locks.locked_elsewhere(super::locks::slot_byte(owner.slot), 1).unwrap_or(true)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.forked() {
            self.populate.stop();
            self.aftercare.stop();
            self.keeping.stop();
        }
    }
}
