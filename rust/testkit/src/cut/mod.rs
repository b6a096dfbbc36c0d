//! Power cuts: a process that writes, marks and rewinds runs under a library that writes down what it does to the
//! disk (`preload.c`). From that folders are built as a disk may be after the power went at some moment: what was
//! synced is there, of the rest any part. Plain SQLite must find a state that was committed there, and the recording
//! must tell right marks from lost ones.
//!
//! As in SQLite's own crash tests, and in ALICE and `CrashMonkey`: sectors of 512 or 4096 bytes arrive in any order; a
//! growing file's length may lag behind its content or run ahead of it; `fdatasync` leaves times behind. The store's
//! mapped pages may be any version since they were last synced. Names and cuts of files become durable in
//! the order in which they were made: SQLite itself relies on it, since it deletes the journal of a VACUUM, and
//! then cuts the database.

mod allowed;
mod campaign;
mod disk;
mod trace;

pub use campaign::{Options, Summary, run};
