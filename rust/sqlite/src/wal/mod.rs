//! Recording and rewinding a database in WAL mode. Nobody else is touched: the WAL itself is the record.

mod file;
mod header;
mod index;
mod notes;
mod runs;
