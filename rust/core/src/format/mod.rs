//! Bytes on disk: parsing and writing, nothing else. The tables are in `rust/docs/format.md`.

mod kind;

pub use kind::Kind;
