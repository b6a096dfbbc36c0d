//! Kills of processes that append to one store at once: what was appended is there, once and whole, and whoever
//! appends next is not held up.

mod campaign;
mod ledger;
mod processors;
mod record;
mod table;
mod taken;
mod writer;

pub use campaign::{Options, Summary, Times, run};
pub use taken::{Series, Waits};
pub use writer::{Life, write};
