//! The kill campaign: processes that write, mark and rewind are ended with SIGKILL at random instants, and
//! what they leave is examined.
//!
//! Every transaction leaves its name (the *head*) and a hash of all content in the database, so that any
//! state says by itself whether it is a committed one. Each step is announced on stdout before it is taken and
//! acknowledged after it; the pipe survives the kill.

mod campaign;
mod child;
pub(crate) mod content;
pub(crate) mod event;
mod neighbour;
mod process;
mod verdict;

pub use campaign::{Options, Summary, run};
pub use child::{Life, record, write};
