//! Closed segments, made small: the file they become, and how it is read.
//!
//! `rust/docs/sealing.md` has the layout, why it is that one, and the steps by which a sealed file takes a
//! segment's place; those steps are in `store/sealing`.

mod columns;
mod difference;
mod digest;
#[cfg(feature = "fuzzing")]
mod forged;
#[cfg(feature = "fuzzing")]
mod forged_digest;
#[cfg(feature = "fuzzing")]
mod forms;
mod frame;
mod header;
mod index;
mod moves;
#[cfg(feature = "fuzzing")]
mod parts;
mod recent;
mod runs;
mod sealed;
mod varint;
mod write;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use digest::choose;
pub(crate) use digest::{Digest, Summary};
#[cfg(feature = "fuzzing")]
pub(crate) use forged::forged;
#[cfg(feature = "fuzzing")]
pub(crate) use forged_digest::forged_digest;
#[cfg(feature = "fuzzing")]
pub(crate) use forms::forms;
#[cfg(feature = "fuzzing")]
pub(crate) use header::VERSION;
pub(crate) use index::{FARTHEST, farthest, is_image};
#[cfg(feature = "fuzzing")]
pub(crate) use parts::parts;
pub(crate) use recent::{Frames, Recent};
pub(crate) use sealed::{Others, Sealed, digest, digest_at, header};
pub(crate) use write::{Behind, Found, Origin, sort, write};
