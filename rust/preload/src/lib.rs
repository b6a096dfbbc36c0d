//! `dbrewind` in a program that knows nothing of it: `dbrewind run` loads this library ahead of the program's libsqlite3
//! (`LD_PRELOAD`), so that what the program, and all that it starts, write to one database in a rollback mode is recorded.
//!
//! How, and what it cannot do: `rust/docs/cli.md`, "A program in a rollback mode".

pub mod ffi;
mod named;
mod report;
