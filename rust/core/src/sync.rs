//! The only door to atomics: the loom models compile `ring/` against a `sync` of their own, made of
//! loom's, so that what they explore is the code that runs.

pub(crate) use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering, fence};
