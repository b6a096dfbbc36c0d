//! Recording and rewinding in the rollback journal modes: DELETE, TRUNCATE, PERSIST, MEMORY, OFF.
//!
//! The shim VFS tells a [watched](watched::Watched) file's [`Recorder`](recorder::Recorder) about every write before it
//! happens; the recorder saves what is about to be lost. A rewind writes it back, under SQLite's own locks
//! and behind a genuine rollback journal.

mod attach;
mod boundary;
mod buffers;
mod bystander;
mod differences;
mod engine;
mod era;
#[cfg(all(test, feature = "bundled"))]
mod failing;
mod free_list;
mod guard;
mod holders;
mod intent;
mod join;
mod journal;
mod lock_wait;
mod page_set;
mod present;
mod recorder;
mod registry;
mod rewind;
mod settle;
mod spare;
mod two_copies;
mod under_lock;
mod watch;
mod watched;

pub(crate) use attach::refuse_two_copies;
pub(crate) use bystander::{Bystander, Seen};
pub(crate) use engine::Rollback;
pub(crate) use holders::{Doing, in_the_way, is_open_here, open_by};
#[cfg(feature = "fuzzing")]
pub(crate) use intent::Intent as RewindIntent;
pub(crate) use join::{begin as join_recordings, begin_with as join_recording_of};
pub(crate) use journal::{is_hot, path_for as journal_path, random};
pub(crate) use lock_wait::{Wait, shared as lock_shared};
pub(crate) use registry::{give_back, is_unguarded, take_handover};
pub(crate) use watch::Watch;
