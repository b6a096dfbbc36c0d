//! A new era within the rollback modes, so that what is before it can be evicted some day (`rust/docs/window.md`).

use dbrewind_core::{AppendError, Engine as EraEngine, Extent, Lsn, ObjectId, Store};

use crate::engine::append_boundary;
use crate::fault;
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
    let notes = [(tag::ANCHOR, anchor.encode())];
    append_boundary(store, object, (EraEngine::Rollback, lsn, extent), &[], &notes)?;
    fault::place("rollback boundary: recorded");
    Ok(())
}
