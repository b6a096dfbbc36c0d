//! Taking segments away from the beginning of the log (`rust/docs/window.md`, "Evicting").

use std::fs;
use std::io;
use std::time::Duration;

use super::manifest;
use crate::error::AppendError;
use crate::fault;
use crate::map::Held;
use crate::ring::{self, Settled};
use crate::segment::{self, Segment};
use crate::store::form::Form;
use crate::store::handle::Inner;
use crate::store::locks;
use crate::store::roll::PATIENCE;
use crate::sync::Ordering;

impl Inner {
    /// The segment that the log begins with.
    pub(in crate::store) fn first(&self) -> u32 {
        self.control.first().max(1)
    }

    /// Whether a segment has been evicted.
    pub(in crate::store) fn is_evicted(&self, id: u32) -> bool {
        id < self.first()
    }

    /// Drops segments from the beginning, as long as `wanted` says so of the one that goes next, and not past what is
    /// prepared. The caller has the creation lock. Answers whether any went; an error does not mean that none did.
    pub(in crate::store) fn drop_while(
        &self,
        mut wanted: impl FnMut(u32) -> bool,
    ) -> Result<bool, AppendError> {
        let old = self.first();
        let io = |action| move |source| AppendError::Io { action, source };
        // Nothing that somebody looks at for long; nor does anybody begin to, until it is known what stays.
        let alone = Held::take(&self.lock_path(), locks::WINDOW_HELD, Duration::ZERO);
        let Some(_alone) = alone.map_err(io("evict segments"))? else { return Ok(false) };
        let ready = self.control.ready().min(self.control.current());
        let mut first = old;
        while first < ready && wanted(first) && self.is_settled(first)? {
            first += 1;
        }
        if first == old {
            return Ok(false);
        }
        if !self.locks.is_at(&self.lock_path()) {
            // The folder may be another store's by now.
            return Err(io("evict segments")(io::ErrorKind::NotFound.into()));
        }
        manifest::write(&self.dir, self.id, first).map_err(io("write down where the log begins"))?;
        self.control.raise_first(first);
        fault::place("evict: announced");
        let mut failed = None;
        for id in old..first {
            // One that cannot be removed goes when the store is opened; the others need not wait for that.
            failed = failed.or(self.remove(id).err());
            fault::place("evict: a segment removed");
        }
        self.let_go_of_evicted();
        failed.map_or(Ok(true), |error| Err(io("evict a segment")(error)))
    }

    /// The same, taking the creation lock first.
    pub(in crate::store) fn evict_while(&self, wanted: impl FnMut(u32) -> bool) -> Result<bool, AppendError> {
        let io = |source| AppendError::Io { action: "lock the store", source };
        let lock = Held::take(&self.lock_path(), locks::CREATE, PATIENCE).map_err(io)?;
        let _lock = lock.ok_or_else(|| io(io::ErrorKind::TimedOut.into()))?;
        self.drop_while(wanted)
    }

    /// Removes a segment's file, in whichever form it is there.
    pub(in crate::store) fn remove(&self, id: u32) -> io::Result<()> {
        for name in [segment::file_name(id), segment::sealed_name(id)] {
            match fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether nothing in a segment is in flight. What dead writers left there is given up.
    fn is_settled(&self, id: u32) -> Result<bool, AppendError> {
        let segment = match self.form(id) {
            Ok(Some(Form::Raw(segment))) => segment,
            Ok(_) => return Ok(true),
            Err(_) => return Ok(false),
        };
        match ring::settle(
            &**segment,
            Segment::FIRST,
            |owner| self.dead(owner),
            |_, _| Ok::<_, AppendError>(()),
        )? {
            Settled::Yes => Ok(true),
            Settled::InFlight => Ok(false),
            // Let go of meanwhile, as a sealed one.
            Settled::Open(_) | Settled::Damaged(_) => Ok(segment.is_gone()),
        }
    }

    /// Lets go of the mappings of evicted segments, so that their room on disk comes back.
    pub(in crate::store) fn let_go_of_evicted(&self) {
        let upto = self.first().min(ring::newest(&self.current));
        // Relaxed: a word by itself.
        let from = self.evicted.load(Ordering::Relaxed).max(1);
        if from >= upto {
            return;
        }
        for id in from..upto {
            // The word may be wrong, the name is not.
            if self.dir.join(segment::file_name(id)).exists() {
                return;
            }
            if let Some(segment) = self.segments.get(id).filter(|segment| !segment.is_gone()) {
                self.batch_file.let_go(id);
                // If the system refuses, the flag alone tells everybody.
                let _ = segment.let_go();
            }
        }
        self.recent.forget_below(upto);
        self.evicted.fetch_max(upto, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Kind;
    use crate::store::{Head, Store, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    #[test]
    fn hazard_somebody_begins_to_read_while_segments_go() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 1 << 20 };
        let store = Store::open(dir.path(), &options).unwrap();
        for lsn in 1..20 {
            let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
            store.append(head, &[&[7; 600]]).unwrap();
        }
        let inner = &store.inner;
        inner.control.raise_ready(3);
        let mut begun = Vec::new();
        let evicted = inner.evict_while(|_| {
            begun
                .push(Held::share(&inner.lock_path(), locks::WINDOW_HELD, Duration::ZERO).unwrap().is_some());
            true
        });
        assert!(evicted.unwrap());
        assert_eq!(begun, [false, false]);
        assert_eq!(store.first_segment(), 3);
        drop(store.hold_window().unwrap());
    }
}
