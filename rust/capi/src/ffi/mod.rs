//! The entry points, and nothing else that touches a pointer. What callers owe is said once, in the header's first comment
//! and in `rust/docs/c-abi.md`.
#![expect(unsafe_code, reason = "this module is the boundary to C")]
#![allow(non_camel_case_types, reason = "the names are those of the header")]
#![allow(
    clippy::missing_safety_doc,
    reason = "said once for all, see above; the comments become the header's"
)]

/// The DBR codes.
pub mod codes;
/// The counters of a difference.
pub mod counter;
/// Opening, closing, and what a handle tells.
pub mod database;
/// What differs between two moments.
pub mod difference;
/// Why a call failed.
pub mod error;
/// A volume that is a file.
pub mod file;
mod given;
/// Ending a wait.
pub mod interrupt;
/// The same of records under keys, and recording it.
pub mod keyed;
/// Marks.
pub mod marks;
/// The content of an engine that is not SQLite.
pub mod medium;
/// Moments, and where to go.
pub mod moment;
/// How to open, how to rewind.
pub mod options;
/// A past moment beside the live database.
pub mod past;
/// Other processes.
pub mod process;
/// Rewinding.
pub mod rewind;
/// The program's SQLite.
pub mod sqlite;
/// How the store does.
pub mod status;
/// Versions.
pub mod version;
/// Recording it.
pub mod volume;
/// How its history does.
pub mod volume_status;
