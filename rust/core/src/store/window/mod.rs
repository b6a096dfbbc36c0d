//! How far back the store reaches: eras, and what goes from the beginning of the log (`rust/docs/window.md`).

mod age;
mod alike;
mod ask;
mod carry;
mod drop;
mod era;
mod keep;
mod ledger;
pub(crate) mod manifest;
mod need;
mod prepare;
mod status;
mod thread;
mod urgent;

pub use need::Need;
pub(in crate::store) use need::in_need;
pub use status::{Pin, Window, WindowState};
pub(crate) use thread::Keeping;
pub use thread::WindowHold;
pub use urgent::Hurry;
pub(in crate::store) use urgent::Unfit;
