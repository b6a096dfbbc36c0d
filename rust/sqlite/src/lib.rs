//! `dbrewind` for SQLite: records what a database goes through and rewinds it in place.
//!
//! Links no SQLite: every call goes through the [`SqliteApi`] of the copy that the host uses.
#![allow(dead_code, unused_imports, reason = "the engines that use the ffi arrive next")]

mod ffi;

pub use ffi::{ApiError, SqliteApi};
