//! The command line, in this library so that no second file has to be shipped.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Run the command line with these arguments, the program's name first; answers the exit status. Not for callers.
#[pyfunction]
pub(crate) fn command_main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| dbrewind_cli::main(arguments))
}
