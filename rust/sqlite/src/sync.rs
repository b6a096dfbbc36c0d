//! The only door to atomics in this crate, as `dbrewind-core` has one for its own.
//!
//! Two things need them: words of the wal-index, which SQLite in other processes changes (`ffi/wal_index.rs`); flags
//! and levels of the connections that the shim watches, which a connection's own thread changes and a recording's
//! thread reads (`rollback/watched.rs`). Words of the store are behind `dbrewind_core::Store`.

pub(crate) use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering, fence};
