//! The functions that the dynamic loader finds here before it finds them where the program expects them.
#![expect(unsafe_code, reason = "entry points of C, and the loader's own interface")]

pub mod open;
mod reach;
pub mod sqlite;
