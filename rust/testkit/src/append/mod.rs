//! Kills of processes that append to one store at once: what was appended is there, once and whole, and whoever
//! appends next is not held up.

mod campaign;
mod ledger;
mod record;
mod writer;

pub use campaign::{Options, Summary, run};
pub use writer::{Life, write};
