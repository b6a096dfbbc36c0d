//! The command line, in this library so that no second file has to be shipped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dbrewind_cli::Host;
use pyo3::prelude::*;

use crate::host;

/// Run the command line with these arguments, the program's name first; answers the exit status. Not for callers.
#[pyfunction]
#[pyo3(pass_module)]
pub(crate) fn command_main(module: &Bound<'_, PyModule>, arguments: Vec<OsString>) -> u8 {
    // The wheel has the library for other programs beside this one.
    let file: Option<PathBuf> = module.filename().ok().and_then(|file| file.extract().ok());
    let beside = file.as_deref().and_then(Path::parent);
    let host = Host { beside, sqlite: Some(host::described) };
    module.py().detach(|| dbrewind_cli::main(arguments, host))
}
