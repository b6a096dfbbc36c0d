//! How far back the store reaches: eras, and what goes from the beginning of the log (`rust/docs/window.md`).

mod drop;
mod era;
mod keep;
mod ledger;
pub(crate) mod manifest;
mod prepare;
mod status;
mod thread;

pub use ledger::PINNED;
pub use status::{Pin, Window, WindowState};
pub(crate) use thread::Keeping;
pub use thread::WindowHold;
