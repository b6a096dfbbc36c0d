use std::fs::File;
use std::io;

use crate::error::{ReadError, SyncError};
use crate::ring::Region;
use crate::segment::Segment;
use crate::store::form::Form;
use crate::store::walk::InFlight;
use crate::store::{Location, Store};

impl Store {
    /// Waits until everything that was appended before this call is on disk, by whomever.
    ///
    /// # Errors
    /// See [`SyncError`]. Some of it may be on disk then; what was synced before is.
    pub fn sync(&self) -> Result<(), SyncError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(SyncError::Forked);
        }
        let io = |action| move |source| SyncError::Io { action, source };
        inner.let_go_of_sealed();
        let known = inner.control.synced();
        let (first, from) = known.unwrap_or((1, Segment::FIRST));
        let (first, from) =
            (first.max(inner.first()), if first < inner.first() { Segment::FIRST } else { from });
        // Only up to the first record in flight can be called done: it will be written after this.
        let mut done = Location::new(first, from);
        inner.walk(&mut done, InFlight::Stop, &mut |_, _, _| {}).map_err(unreadable)?;
        let last = inner.control.current();
        for id in first..=last {
            let form = match inner.form(id) {
                Err(_) if inner.is_evicted(id) => continue,
                form => form.map_err(|e| unreadable(e.into()))?,
            };
            let segment = match form {
                None => break,
                // Was on disk before it counted.
                Some(Form::Sealed(_)) => continue,
                Some(Form::Raw(segment)) => segment,
            };
            let from = if id == first { from } else { 0 };
            let to =
                if id == last { inner.control.hint(id).unwrap_or(segment.size()) } else { segment.size() };
            segment.sync(from..to).map_err(io("sync a segment"))?;
        }
        let segment = u32::try_from(done.segment().get()).unwrap_or(0);
        if known.is_none() || last > first {
            // The names of new segments.
            File::open(&inner.dir).and_then(|dir| dir.sync_all()).map_err(io("sync the store's folder"))?;
        }
        inner.control.raise_synced(segment, done.offset());
        Ok(())
    }
}

fn unreadable(error: ReadError) -> SyncError {
    match error {
        ReadError::Forked => SyncError::Forked,
        ReadError::Io { action, source } => SyncError::Io { action, source },
        other => SyncError::Io { action: "walk the log", source: io::Error::other(other) },
    }
}
