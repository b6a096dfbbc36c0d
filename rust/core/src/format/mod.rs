//! Bytes on disk: parsing and writing, nothing else. The tables are in `rust/docs/format.md`.

pub(crate) mod bytes;
mod commit;
pub(crate) mod control;
mod drop;
mod era;
mod fields;
mod head;
mod kind;
mod mark;
pub(crate) mod object;
pub(crate) mod record;
mod rewind;
pub(crate) mod segment;
mod word;

pub use commit::CommitBody;
pub use drop::DropBody;
pub use era::{Engine, EraBody};
pub use fields::BodyError;
pub use head::{Head, KEPT, MOVED, PINNED};
pub use kind::Kind;
pub use mark::MarkBody;
pub use rewind::RewindBody;
pub(crate) use word::{HEADER, Owner, Place, State, Word, short_generation, span};
