//! The store as its users see it.

mod aftercare;
mod append;
mod background;
mod batch;
mod control;
mod form;
mod handle;
mod lean;
mod locks;
mod objects;
mod open;
mod options;
mod populate;
mod read;
mod record;
mod recover;
mod registers;
mod reserve;
mod roll;
mod seal;
mod sync;
mod walk;
mod window;

use crate::format::Head;
use crate::types::Location;

pub use handle::Store;
pub use locks::{HolderLock, ObjectLock, Presence, processes_at, processes_with};
pub use objects::{FORGOTTEN, NamesLock};
pub use options::StoreOptions;
pub use record::{Cursor, Record};
pub use reserve::Reservation;
pub use roll::Room;
pub use seal::SealedSegment;
pub(crate) use walk::Seen;
#[cfg(feature = "fuzzing")]
pub(crate) use window::manifest;
pub use window::{Hurry, Need, Pin, Window, WindowHold, WindowState};
