//! Recording and rewinding in the rollback journal modes: DELETE, TRUNCATE, PERSIST, MEMORY, OFF.
//!
//! The shim VFS tells a [`Watched`] file's [`Recorder`](recorder::Recorder) about every write before it
//! happens; the recorder saves what is about to be lost. A rewind writes it back, under SQLite's own locks
//! and behind a genuine rollback journal.

mod content;
mod file_id;
mod header;
mod in_flight;
mod intent;
mod page_set;
mod recorder;
mod registers;
mod registry;
mod settle;
mod watched;

pub(crate) use content::Content;
pub(crate) use watched::Watched;
