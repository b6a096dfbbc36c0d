//! The command line by real invocations, beside an application that knows nothing of it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod scene;

mod doctor;
mod full;
mod moments;
mod preloaded;
mod programs;
mod recording;
mod refusals;
mod terminal;
mod volumes;
