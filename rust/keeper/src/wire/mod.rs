//! Bytes between host and keeper: `rust/docs/keeper.md`, "Protocol".

mod diff;
mod fields;
mod frame;
mod reply;
mod request;

pub(crate) use fields::{Fields, WireError};
pub(crate) use frame::{Inbox, begin, finish};
pub(crate) use reply::Reply;
pub(crate) use request::{Operation, Request};

/// First bytes of a hello.
pub(crate) const MAGIC: [u8; 8] = *b"dbrwkpr\x01";
/// Version of everything but hello and refusals, whose layout never changes.
pub(crate) const VERSION: u32 = 3;
/// Kind of the frame that ends the wait of the request with the same id. It has no payload, and no response of its
/// own.
pub(crate) const CANCEL: u8 = 12;
/// Kind of a response that carries a result.
pub(crate) const DONE: u8 = 0;
/// Kind of a response that carries a refusal.
pub(crate) const REFUSED: u8 = 1;
