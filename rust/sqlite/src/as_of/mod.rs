//! Reading the database as it was at any recorded moment, beside the live one and without moving it
//! (`rust/docs/as-of.md`).

mod at;
mod clone;
mod diff;
mod origin;
mod trust;
mod view;

pub use at::At;
pub(crate) use clone::clone_to;
pub(crate) use diff::diff;
pub use diff::{Altered, CounterDiff, Diff, SchemaChange, TableDiff, Value};
#[cfg(feature = "fuzzing")]
pub(crate) use diff::{compare, record};
pub(crate) use origin::{Hold, Origin};
pub(crate) use view::View;
