//! Everything the operating system is asked for: mappings, room on disk, locks, forks.
//!
//! One of the places where `unsafe` is allowed. What depends on the system is in `os_linux`, and in `processes`.

mod fork;
mod held;
mod lock_file;
mod mapping;
#[expect(unsafe_code, reason = "system calls that the standard library does not offer")]
mod os_linux;
mod processes;
#[cfg(test)]
pub(crate) mod seen;

pub(crate) use fork::Generation;
pub(crate) use held::{Held, IdleLockFiles};
pub(crate) use lock_file::LockFile;
pub(crate) use mapping::{LARGE_PAGE, Mapping};
pub use os_linux::boot_id;
pub use processes::Process;
pub(crate) use processes::others_with;

pub(crate) use os_linux::{
    block_signals, free_room, leave_to_others, lower_priority, random, reserve_room, sync, uptime,
    write_parts, zero,
};

#[cfg(target_endian = "big")]
compile_error!("the log's words are little-endian and used in place");
