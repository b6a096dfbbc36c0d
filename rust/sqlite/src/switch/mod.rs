//! A database that changes from a rollback journal mode to WAL, or back, while its history goes on
//! (`recovery.md`, "A change of journal mode").

mod enter;
mod follow;
mod handover;
mod leave;

pub(crate) use enter::enter_wal;
pub(crate) use follow::{Context, follow};
pub(crate) use handover::{Handover, NotAdopted};
pub(crate) use leave::leave_wal;
