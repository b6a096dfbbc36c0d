//! `dbrewind` for SQLite.
