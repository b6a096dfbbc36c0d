//! The compiled half of the `dbrewind` Python package: thin classes over `dbrewind-sqlite`.
//!
//! Every call gives the interpreter lock away before it touches a file, a lock or a store.

#[expect(dead_code, reason = "the classes that raise arrive with the engine")]
mod error;
#[expect(dead_code, reason = "the classes that make moments arrive with the engine")]
mod lsn;

use pyo3::prelude::*;

#[pymodule]
fn _dbrewind(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::add_to(module)?;
    module.add_class::<lsn::PyLsn>()?;
    Ok(())
}
