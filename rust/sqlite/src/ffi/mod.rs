//! The only door to SQLite's C side: struct layouts, the function table of the host's SQLite, and safe
//! handles over its files and connections. Nothing outside this module dereferences a raw pointer.
#![expect(unsafe_code, reason = "this module is the boundary to SQLite's C interface")]

mod access;
mod api;
mod connection;
mod extension;
mod file_times;
mod forward;
mod host_file;
mod lock_probe;
mod new_name;
pub(crate) mod past_vfs;
pub(crate) mod shim;
mod short_turns;
mod statements;
pub(crate) mod types;
mod wal_index;
mod whereabouts;
mod write_back;

pub(crate) use access::may_read_and_write;
pub use api::{ApiError, SqliteApi};
pub(crate) use connection::Connection;
pub use extension::{extension_init, join_recording};
pub(crate) use file_times::set_modified;
pub(crate) use host_file::{HostFile, HostVfs, LockLevel, ShmLock, VfsError};
pub(crate) use new_name::{create_unnamed, link_to_new, rename_to_new};
pub use shim::is_opening;
pub(crate) use short_turns::ask_for_short_turns;
pub(crate) use statements::Opener;
pub(crate) use wal_index::{Region, full_barrier};
pub(crate) use whereabouts::{thread_id, ticks_per_second, uptime};
pub(crate) use write_back::{WriteBack, begin_write_back};
