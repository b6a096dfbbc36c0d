//! The timeline by example, against a naive model, and fed with nonsense.

mod examples;
mod hostile;
mod lazy;
mod model;
mod times;
mod world;
