//! Recording and rewinding a database in WAL mode. Nobody else is touched: the WAL itself is the record.

mod file;
pub(crate) mod header;
mod index;
pub(crate) mod notes;
mod runs;
