//! Errors, one family an operation. What holds after one is said at the variant.

mod code;
mod families;

pub use code::Code;
pub use families::{AppendError, LockError, OpenError, ReadError, SealError, SyncError};
