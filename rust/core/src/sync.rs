//! The only door to atomics: the models of `tests/` compile `ring/` against a `sync` of their own, made of
//! loom's or shuttle's, so that what they explore is the code that runs.

pub(crate) use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering, fence};
