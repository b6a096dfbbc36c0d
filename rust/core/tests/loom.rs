//! Models of the log's protocol: every interleaving of a few writers, readers, reapers and a sealer, also those that only the weak order
//! of memory allows.
//!
//! Compiles `src/ring` once more, against loom's atomics instead of the processor's. What needs more of them than all
//! interleavings can be tried of is in `shuttle.rs`. Which breakages of that code were tried, and what fails then, is in
//! `rust/docs/models.md`.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a model that cannot go on fails"
)]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
}

mod explorer {
    use loom::cell::UnsafeCell;
    /// Threads that go through several segments have more interleavings than can be tried. Tried are all in which a thread is interrupted, where it
    /// could go on, so many times.
    const INTERRUPTIONS: usize = 2;

    pub(crate) use loom::model as explore;

    pub(crate) fn explore_some(model: impl Fn() + Send + Sync + 'static) {
        let mut explorer = loom::model::Builder::new();
        explorer.preemption_bound = explorer.preemption_bound.or(Some(INTERRUPTIONS));
        explorer.check(model);
    }

    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use loom::thread;

    /// Eight bytes that only their owner writes: loom fails the model at a read that is not ordered after the write.
    #[derive(Default)]
    pub(crate) struct Cell(UnsafeCell<u64>);

    // SAFETY: loom checks every access.
    #[expect(unsafe_code, reason = "cells that loom watches")]
    unsafe impl Sync for Cell {}

    #[expect(unsafe_code, reason = "cells that loom watches")]
    impl Cell {
        pub(crate) fn set(&self, value: u64) {
            // SAFETY: loom fails the model if anybody else reads or writes it now.
            self.0.with_mut(|cell| unsafe { *cell = value });
        }

        pub(crate) fn get(&self) -> u64 {
            // SAFETY: loom fails the model if anybody writes it now, or wrote it in no known order.
            self.0.with(|cell| unsafe { *cell })
        }
    }
}

#[path = "."]
mod format {
    #[expect(dead_code, reason = "the models need less of it than the store")]
    #[path = "../src/format/bytes.rs"]
    pub(crate) mod bytes;
    #[expect(dead_code, reason = "the models need less of it than the store")]
    #[path = "../src/format/control.rs"]
    pub(crate) mod control;
    #[expect(dead_code, reason = "the models need less of it than the store")]
    #[path = "../src/format/word.rs"]
    mod word;
    pub(crate) use word::{HEADER, Owner, Place, State, Word, span};
}

#[path = "../src/ring/mod.rs"]
mod ring;

#[path = "models/durable.rs"]
mod durable;
#[path = "models/heap.rs"]
mod heap;
#[path = "models/log.rs"]
mod log;
#[path = "models/roll.rs"]
mod roll;
#[path = "models/seal.rs"]
mod seal;
#[path = "models/volume.rs"]
mod volume;
