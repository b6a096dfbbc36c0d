//! A database that changes from a rollback journal mode to WAL, or back, while its history goes on
//! (`recovery.md`, "A change of journal mode").

mod enter;
mod follow;
mod leave;
mod prepare;

pub(crate) use enter::enter_wal;
pub(crate) use follow::{Context, follow};
pub(crate) use leave::leave_wal;
pub(crate) use prepare::prepare;
