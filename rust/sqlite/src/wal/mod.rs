//! Recording and rewinding a database in WAL mode. Nobody else is touched: the WAL itself is the record.

mod adopt;
mod ahead;
mod anchor;
mod attach;
mod bare;
mod beside;
mod boundary;
mod chain;
mod checkpoint;
mod content;
mod core;
mod drain;
mod end;
mod engine;
#[cfg(all(test, feature = "bundled"))]
mod failing;
mod file;
mod freeze;
mod header;
mod index;
mod intent;
mod locks;
mod notes;
mod rewind;
mod runs;
mod tail;
mod transaction;
mod without_room;
mod written;

pub(crate) use beside::Beside;
pub(crate) use core::Core;
pub(crate) use engine::WalEngine;
pub(crate) use file::WalFile;
#[cfg(feature = "fuzzing")]
pub(crate) use header::{FrameHeader, WalHeader};
#[cfg(feature = "fuzzing")]
pub(crate) use index::IndexHeader;
pub(crate) use index::WalIndex;
pub(crate) use locks::READ4;
#[cfg(feature = "fuzzing")]
pub(crate) use notes::{IntentNote, RunNote};
#[cfg(feature = "fuzzing")]
pub(crate) use runs::Runs;
