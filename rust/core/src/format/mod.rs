//! Bytes on disk: parsing and writing, nothing else. The tables are in `rust/docs/format.md`.

mod bytes;
pub(crate) mod control;
mod kind;
pub(crate) mod object;
pub(crate) mod record;
pub(crate) mod segment;
mod word;

pub use kind::Kind;
pub(crate) use word::{HEADER, Owner, Place, State, Word, span};
