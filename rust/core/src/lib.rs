//! The change-record store of `dbrewind`.
//!
//! A store is a folder of memory-mapped segments that any number of threads and processes append
//! [records](Record) to without locks, and a [timeline](Timeline) that tells, for any two moments of
//! an object, which keys differ and where their images are. It knows records, objects and LSNs; what
//! a page or a row is, only the adapters know.

mod error;
#[doc(hidden)]
pub mod fault;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod interrupt;
mod map;
mod ring;
mod seal;
mod segment;
mod status;
mod store;
mod sync;
mod timeline;
mod types;

pub use error::{AppendError, Code, LockError, OpenError, ReadError, SealError, SyncError};
pub use format::{
    BodyError, CommitBody, DropBody, Engine, EraBody, Head, KEPT, Kind, MOVED, MarkBody, PINNED, RewindBody,
};
pub use interrupt::{Patience, Refused, interruptible, lock_patiently};
pub use map::{Process, boot_id};
pub use status::{MarkCounts, MarkState, Status};
pub use store::{
    Cursor, FORGOTTEN, HolderLock, Hurry, NamesLock, Need, ObjectLock, Pin, Presence, Record, Reservation,
    Room, SealedSegment, Store, StoreOptions, Window, WindowHold, WindowState, processes_at, processes_with,
};
pub use timeline::{
    Era, MarkEntry, NoteEntry, Plan, PlanError, RewindEntry, Source, Timeline, TimelineError, Unnamed,
    Unreachable, Vantage,
};
pub use types::{
    Clock, Extent, Key, Location, Lsn, ManualClock, MarkName, MarkNameError, ObjectId, RewindOptions,
    SegmentId, Target, TargetError, Timestamp,
};
