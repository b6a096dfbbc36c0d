//! The keeper: a Python that loads this very library and nothing else, so that no second file has to be shipped.

use std::path::PathBuf;

use dbrewind_keeper::KeeperCommand;
use pyo3::prelude::*;

/// What that Python runs. Without the package's own `__init__`: the file is loaded by its path.
const PROGRAM: &str = "\
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
loader = ExtensionFileLoader('dbrewind._dbrewind', sys.argv[1])
module = loader.create_module(ModuleSpec('dbrewind._dbrewind', loader, origin=sys.argv[1]))
loader.exec_module(module)
sys.exit(module.keeper_main())
";

/// How to start a keeper from this interpreter.
///
/// # Errors
/// When the interpreter does not know its own file or ours, as in some that are embedded.
pub(crate) fn command(py: Python<'_>) -> PyResult<KeeperCommand> {
    let interpreter: PathBuf = py.import("sys")?.getattr("executable")?.extract()?;
    let library: PathBuf = py.import("dbrewind._dbrewind")?.getattr("__file__")?.extract()?;
    // -I -S: nothing of the user's environment is imported, and it starts in a few milliseconds.
    Ok(KeeperCommand::new(interpreter).arg("-I").arg("-S").arg("-c").arg(PROGRAM).arg(library))
}

/// Serve one database over standard input and output: what the keeper process runs. Not for callers.
#[pyfunction]
pub(crate) fn keeper_main(py: Python<'_>) -> u8 {
    py.detach(dbrewind_keeper::serve_stdio)
}
