//! A new era within the rollback modes, so that what is before it can be evicted some day (`rust/docs/window.md`).

use dbrewind_core::{AppendError, Engine as EraEngine, Extent, Lsn, ObjectId, Store};

use super::engine::Rollback;
use super::present::Present;
use crate::engine::{append_boundary, locked};
use crate::error::Error;
use crate::fault;
use crate::file;
use crate::notes::{RollbackAnchor, tag};
use crate::registers::Registers;

/// Begins an era with what the file holds, which is the newest recorded moment. Nothing is in flight, and nobody can write.
pub(super) fn begin(
    store: &Store,
    object: ObjectId,
    (lsn, extent): (Lsn, Extent),
    anchor: &RollbackAnchor,
) -> Result<(), AppendError> {
    // First of all: once the era is there, its beginning must stay what it is.
    Registers::new(store, object).set_boundary(lsn, extent.get());
    fault::place("rollback boundary: moved");
    append_boundary(store, object, (EraEngine::Rollback, lsn, extent), &[(tag::ANCHOR, anchor.encode())])?;
    fault::place("rollback boundary: recorded");
    Ok(())
}

impl Rollback {
    /// Begins an era if it is time for one. Under SHARED and the object's lock; nothing is in flight.
    pub(super) fn begin_era_if_due(&mut self, present: &Present) -> Result<(), Error> {
        if !self.store.era_is_due(self.object) {
            return Ok(());
        }
        let lsn = locked(&self.history).boundary_lsn()?;
        let anchor = RollbackAnchor {
            file: self.id,
            size: present.size,
            born: file::born(&self.path),
            counter: present.counter(),
        };
        Ok(begin(&self.store, self.object, (lsn, self.extent(present.size)), &anchor)?)
    }
}
