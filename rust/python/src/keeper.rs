//! The keeper's side of a helper process that is started from this very library.

use pyo3::prelude::*;

/// Serves one database over standard input and output until the input ends. Not for callers.
#[pyfunction]
pub(crate) fn keeper_main(py: Python<'_>) -> PyResult<()> {
    let _ = py;
    Ok(())
}
