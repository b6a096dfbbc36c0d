use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::error::{OpenError, ReadError};
use crate::format::Owner;
use crate::format::control::{ControlHeader, SLOTS};
use crate::map::{self, Generation, IdleLockFiles, LockFile};
use crate::seal::Recent;
use crate::segment::{self, Segment, Table};
use crate::store::aftercare::Aftercare;
use crate::store::batch::BatchFile;
use crate::store::control::{Control, Found};
use crate::store::handle::Inner;
use crate::store::objects::Objects;
use crate::store::populate::Populate;
use crate::store::recover::{Folder, Newest};
use crate::store::roll::PATIENCE;
use crate::store::walk::InFlight;
use crate::store::window::Keeping;
use crate::store::{Location, Store, StoreOptions, locks};
use crate::sync::{AtomicU32, AtomicU64};
use crate::types::Clock;

const SMALLEST: u64 = 4096;
const LONGEST: u64 = 1 << 30;

impl Store {
    /// Opens the store in this folder, or creates one; the folder is created as well.
    ///
    /// What dead processes left behind is cleaned up; after a restart of the machine every record is
    /// checked first.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Damaged`] when the log is not whole. No record is changed then.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        Self::open_by(dir, options, Clock::System)
    }

    /// The same, with another clock.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_by(dir: &Path, options: &StoreOptions, clock: Clock) -> Result<Self, OpenError> {
        let options = rounded(options)?;
        let failed = |action| move |source| OpenError::Io { action, path: dir.to_path_buf(), source };
        let generation = Generation::now().map_err(failed("watch for forks in"))?;
        fs::create_dir_all(dir).map_err(failed("create"))?;
        let locks = LockFile::open(&dir.join(locks::FILE)).map_err(failed("open the lock file in"))?;
        match locks.lock_patiently(locks::CREATE, PATIENCE) {
            Ok(true) => {}
            Ok(false) => return Err(OpenError::Busy { path: dir.to_path_buf(), waited: PATIENCE }),
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {
                return Err(OpenError::Interrupted { path: dir.to_path_buf() });
            }
            Err(source) => return Err(failed("lock")(source)),
        }
        // Held meanwhile, so that nobody begins to seal after the look.
        let sealing = !locks.try_lock(locks::SEAL).map_err(failed("lock"))?;
        let folder = Folder::read(dir, sealing);
        if !sealing {
            locks.unlock(locks::SEAL).map_err(failed("unlock"))?;
        }
        let mut folder = folder?;
        let (control, found) = Control::open(&dir.join("control")).map_err(failed("open control in"))?;
        let (found, header) = match found {
            // A control file of some other store is as good as none.
            Found::Header(header) if folder.store.is_some_and(|store| store != header.store) => {
                (Found::Nothing, None)
            }
            Found::Header(header) => (found, Some(header)),
            other => (other, None),
        };
        let others = locks
            .locked_elsewhere(locks::slot_byte(0), u32::from(SLOTS))
            .map_err(failed("look at the locks of"))?;
        let boot = map::boot_id();
        let boot_changed = match header {
            Some(header) => header.boot != boot,
            // Nobody knows; but nobody else has it open, then it costs little to assume so.
            None => !folder.is_empty() && !others,
        };
        if !boot_changed {
            folder.all_written(dir)?;
        }
        let id = match folder.store.or(header.map(|header| header.store)) {
            Some(id) => id,
            None => map::random().map_err(failed("get a random id for"))?,
        };
        if header.is_none() && !others {
            if found == Found::Nothing && !folder.is_empty() {
                // Should the log be damaged the next one who opens it must not take this for what a power cut has left.
                control.spoil_header().map_err(failed("write control in"))?;
            }
            control.clear().map_err(failed("get random numbers for"))?;
        }
        if header.is_some() && !boot_changed && control.current() > folder.last {
            let path = dir.join(segment::file_name(control.current()));
            return Err(OpenError::Damaged { path, what: "is missing".into() });
        }
        let owner = take_slot(dir, &locks, &control)?;
        let inner = Inner {
            dir: dir.to_path_buf(),
            options,
            clock,
            id,
            control,
            idle_locks: IdleLockFiles::new(dir.join(locks::FILE)),
            locks,
            owner,
            generation,
            segments: Table::new(),
            current: AtomicU32::new(0),
            objects: Mutex::new(Objects::default()),
            populate: Populate::default(),
            batch_file: BatchFile::default(),
            recent: Recent::default(),
            let_go: AtomicU32::new(0),
            aftercare: Aftercare::default(),
            evicted: AtomicU32::new(0),
            keeping: Keeping::default(),
            looked: AtomicU64::new(0),
        };
        inner.control.set_first(folder.first);
        if boot_changed {
            inner.check_all(&mut folder, found)?;
            inner.settle(&folder)?;
        } else {
            inner.settle(&folder)?;
            inner.check_end()?;
            if header.is_none() {
                inner.find_last_lsns()?;
            }
        }
        inner.control.set_sealed(folder.sealed_upto());
        if boot_changed || header.is_none() {
            // Before the header, after which nobody sees the change any more.
            inner.control.forget_confirmed();
            inner.control.set_ages(0, 0);
            let header = ControlHeader { store: id, boot };
            inner.control.write_header(&header).map_err(failed("write control in"))?;
        }
        inner.locks.unlock(locks::CREATE).map_err(failed("unlock"))?;
        let inner = Arc::new(inner);
        inner.aftercare.belong_to(&inner);
        if inner.has_unsynced_left() {
            inner.aftercare.look();
        }
        Ok(Self { inner })
    }
}

impl Inner {
    /// Makes the last segment the current one, and the first segment if there is none.
    fn settle(&self, folder: &Folder) -> Result<(), OpenError> {
        let last = folder.last;
        let (id, segment) = if last < folder.first || folder.is_sealed(last) {
            let limit = self.limit();
            let used: u64 = (folder.first..=last).map(|id| self.len_on_disk(id).unwrap_or(0)).sum();
            // One page at the limit: what is there can be read, and the log must go on somewhere.
            let left = limit.saturating_sub(used).max(if last < folder.first { 0 } else { SMALLEST });
            let first = self.options.first_segment.min(self.longest()).min(left - left % SMALLEST);
            if first == 0 {
                return Err(OpenError::Full {
                    path: self.dir.clone(),
                    why: super::roll::at_limit(0, limit, SMALLEST),
                });
            }
            // `rounded` compared it with LONGEST.
            let size = u32::try_from(first).unwrap_or(u32::MAX);
            (last + 1, segment::create(&self.dir, last + 1, size, &self.id, false)?)
        } else {
            (last, segment::open(&self.dir, last, &self.id)?)
        };
        self.map(segment, id)?;
        self.move_on_to(id);
        Ok(())
    }

    /// Walks the last segment to its end, and gives up what dead writers left there: from the place on before which everything was
    /// settled when it was synced.
    fn check_end(&self) -> Result<(), OpenError> {
        let id = self.control.current();
        let path = || self.dir.join(segment::file_name(id));
        let hint = self.control.hint(id);
        let settled = self.control.synced().filter(|(segment, _)| *segment == id);
        let from = settled.map_or(Segment::FIRST, |(_, offset)| offset.max(Segment::FIRST));
        let mut end = Location::new(id, from);
        let walked = self.walk(&mut end, InFlight::Skip, &mut |_, _, _| {});
        walked.map_err(|error| self.unreadable(error))?;
        // Others may have appended meanwhile: hence the hint from before.
        match hint {
            Some(hint) if hint > end.offset() => {
                let what = format!("has records up to offset {}, but {hint} had been reached", end.offset());
                Err(OpenError::Damaged { path: path(), what })
            }
            _ => Ok(()),
        }
    }
}

impl Inner {
    /// Finds each object's largest LSN in the log, for a control file that does not know them.
    fn find_last_lsns(&self) -> Result<(), OpenError> {
        let mut newest = Newest::default();
        let walked =
            self.walk(&mut Location::default(), InFlight::Skip, &mut |head, _, _| newest.take(&head));
        walked.map_err(|error| self.unreadable(error))?;
        self.raise_last_lsns(&newest);
        Ok(())
    }

    fn unreadable(&self, error: ReadError) -> OpenError {
        let path = self.dir.clone();
        match error {
            ReadError::Io { action, source } => OpenError::Io { action, path, source },
            ReadError::Version { known, .. } => OpenError::Version { path, found: known + 1, known },
            other => OpenError::Damaged { path, what: other.to_string() },
        }
    }
}

fn take_slot(dir: &Path, locks: &LockFile, control: &Control) -> Result<Owner, OpenError> {
    for slot in 0..SLOTS {
        let taken = locks.try_lock(locks::slot_byte(slot));
        let taken = taken.map_err(|source| OpenError::Io {
            action: "take a slot of",
            path: dir.to_path_buf(),
            source,
        })?;
        if taken {
            return Ok(control.take_slot(slot, std::process::id()));
        }
    }
    Err(OpenError::TooManyWriters { path: dir.to_path_buf(), max: SLOTS })
}

/// Checked options, with sizes in whole pages.
fn rounded(options: &StoreOptions) -> Result<StoreOptions, OpenError> {
    let first_segment = options.first_segment.next_multiple_of(SMALLEST).max(SMALLEST);
    let max_segment = options.max_segment.next_multiple_of(SMALLEST);
    if first_segment > max_segment || max_segment > LONGEST {
        let what = "first_segment must be at most max_segment, and max_segment at most 1 GiB";
        return Err(OpenError::Invalid { what });
    }
    Ok(StoreOptions { first_segment, max_segment, limit: options.limit })
}
