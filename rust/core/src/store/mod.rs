//! The store as its users see it.

mod lock;
mod options;
mod record;
mod simple;

pub use lock::{HolderLock, ObjectLock};
pub use options::StoreOptions;
pub use record::{Cursor, Head, Location, Record};
pub use simple::Store;
