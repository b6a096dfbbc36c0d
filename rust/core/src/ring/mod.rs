//! The lock-free protocol over the words of one segment.
//!
//! A word goes free -> reserved -> committed or aborted, each step by compare-and-swap, and never
//! back; the space of a record is never used again. Hence whoever loses a step learns it, and nobody can
//! damage what somebody else has written. `rust/docs/recovery.md` has the table of what a kill leaves.
//!
//! Generic over [`Region`], so that the models (`tests/loom.rs`, `tests/shuttle.rs`) run this very code on the heap.

mod append;
mod batch;
mod region;
mod settle;
mod walk;

pub(crate) use append::{Appended, append};
pub(crate) use batch::{LaidBatch, append_batch, lay_batch};
pub(crate) use region::Region;
pub(crate) use settle::abort;
pub(crate) use walk::{Step, step};
