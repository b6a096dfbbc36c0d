//! Segment files: their names, their making, and the table of those that are mapped.

mod create;
mod file_name;
mod mapped;
mod open;
mod table;

pub(crate) use create::create;
pub(crate) use file_name::{TEMPORARY, file_name, id_of, sealed_id_of, sealed_name};
pub(crate) use mapped::Segment;
pub(crate) use open::{LONGEST, header, open, open_file};
pub(crate) use table::Table;
