//! The keeper: `dbrewind`'s WAL engine in a small process of its own, with its own SQLite.
//!
//! For hosts whose SQLite hides its symbols, and for processes that hold several copies of SQLite.
//! [`Handle::open`] decides where the engine runs and answers the same either way; [`serve_stdio`] is what
//! the child runs (feature `server`). The protocol and its promises: `rust/docs/keeper.md`.
#![cfg_attr(
    not(feature = "server"),
    allow(dead_code, unused_imports, reason = "a client needs half of the protocol")
)]

mod client;
pub mod copies;
mod error;
mod ffi;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
#[cfg(feature = "server")]
mod server;
mod wire;

pub use client::{KeeperClient, KeeperCommand};
pub use dbrewind_sqlite::interruptible;
pub use error::{Error, Failure, Refusal};
pub use handle::{Choice, Handle};
#[cfg(feature = "server")]
pub use server::{serve, serve_stdio};
