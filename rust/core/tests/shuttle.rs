//! Models of the log's protocol with more writers, readers and reapers than `loom.rs` can try all interleavings of: thousands of them,
//! drawn by chance, and such as PCT draws, which finds with a known probability what a few unlucky turns can break.
//!
//! Compiles `src/ring` once more, against shuttle's atomics. Threads take turns at each access, in one order that all see: that memory is
//! weaker than that is what loom knows.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a model that cannot go on fails"
)]

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
}

mod explorer {
    use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use shuttle::thread;

    /// So many interleavings of each kind.
    const TRIES: usize = 2_000;
    /// So many turns at the wrong time.
    const DEPTH: usize = 3;

    pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
        let model = std::sync::Arc::new(model);
        let again = std::sync::Arc::clone(&model);
        shuttle::check_random(move || again(), TRIES);
        shuttle::check_pct(move || model(), TRIES, DEPTH);
    }

    pub(crate) use explore as explore_some;

    /// Eight bytes of a record. Others get a turn between any two, so that half a record shows.
    #[derive(Default)]
    pub(crate) struct Cell(AtomicU64);

    impl Cell {
        pub(crate) fn set(&self, value: u64) {
            self.0.store(value, Ordering::Relaxed);
        }

        pub(crate) fn get(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
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

#[path = "models/crowd.rs"]
mod crowd;
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
