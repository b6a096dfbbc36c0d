//! What `dbrewind`'s tests are made of: reproducible randomness, SQLite connections in threads and other
//! processes, page images to compare with, random workloads.
//!
//! Test code: a broken expectation panics with everything needed to run it again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness reports by panicking"
)]

pub mod append;
pub mod cut;
pub mod fuzz;
pub mod golden;
pub mod image;
pub mod kill;
pub mod model;
mod past;
pub mod peer;
pub mod protocol;
pub mod recording;
pub mod seed;
pub mod serve;
mod switching;
pub mod workload;
pub mod world;
