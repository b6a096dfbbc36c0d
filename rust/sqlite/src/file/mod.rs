//! The database file, as both engines see it: which one it is, its bytes, and what page 1 says.

mod content;
mod header;
mod id;
mod page_one;
mod state;

pub(crate) use content::{Content, read_padded};
pub(crate) use header::{COUNTER, FIRST_TRUNK, Header, VERSIONS, number};
pub(crate) use id::{FileId, born};
pub(crate) use page_one::{PageOne, forget_moving, move_forward};
pub(crate) use state::FileState;
