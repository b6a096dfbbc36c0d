//! The lock-free protocols: over the words of one segment, and over those of the control file that lead from one to the next.
//!
//! A word goes free -> reserved -> committed or aborted, each step by compare-and-swap, and never
//! back; the space of a record is never used again. Hence whoever loses a step learns it, and nobody can
//! damage what somebody else has written. `rust/docs/recovery.md` has the table of what a kill leaves.
//!
//! Between segments there are locks and files, too; what is done with them, and in which order, is here, and they themselves come
//! from the store: [`Segments`] and closures.
//!
//! Generic over [`Region`] and [`Words`], so that the models (`tests/loom.rs`, `tests/shuttle.rs`) run this very code on the heap.
//! `rust/docs/models.md` says what they show, and what they were seen to find.

mod append;
mod batch;
mod durable;
mod gone;
mod hand_over;
mod look;
mod progress;
mod region;
mod roll;
mod settle;
mod verdict;
mod walk;

pub(crate) use append::{Appended, append};
pub(crate) use batch::{LaidBatch, append_batch, lay_batch};
pub(crate) use durable::{Written, write_all, write_left};
pub(crate) use gone::Gone;
pub(crate) use hand_over::{OneOf, find, hand_over, is_left, sealed_since};
pub(crate) use look::{Looked, Settled, look, settle, unless_gone};
pub(crate) use progress::{Progress, Words};
pub(crate) use region::Region;
pub(crate) use roll::{Segments, move_on_to, newest, roll};
pub(crate) use settle::abort;
pub(crate) use verdict::{Verdict, verdict};
pub(crate) use walk::{Step, step};
