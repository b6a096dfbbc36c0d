//! The system calls that the standard library does not have.
#![expect(unsafe_code, reason = "calls of the C library")]

mod files;
mod loader;
mod process;
mod wait;

pub(crate) use files::{memory_file, set_nonblocking, take_standard_streams};
pub(crate) use loader::symbol_address;
#[cfg(test)]
pub(crate) use process::default_sigpipe_of_this_process;
pub(crate) use process::{ignore_signals, process_handle, without_sigpipe};
pub(crate) use wait::{Direction, Woken, wait};

use std::io;

/// The C library's answer: -1 is an error, whose reason it left behind.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
