//! The C interface of `dbrewind`: `include/dbrewind.h` is generated from [`ffi`], `rust/docs/c-abi.md` says what holds.

mod attached;
mod codes;
mod fault;
pub mod ffi;
#[cfg(test)]
mod header;
mod interrupt;
mod moment;
mod registry;
