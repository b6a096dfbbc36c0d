//! The compiled half of the `dbrewind` Python package: thin classes over `dbrewind-sqlite`.
//!
//! Every call gives the interpreter lock away before it touches a file, a lock or a store.

mod arguments;
mod at;
mod command;
mod database;
mod diff;
mod error;
mod host;
mod keeper;
mod lsn;
mod mark;
mod open;
mod rewound;
mod scope;
mod signals;
mod status;
mod time;
mod writer;

use pyo3::prelude::*;

#[pymodule]
fn _dbrewind(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::add_to(module)?;
    module.add_class::<at::PyAt>()?;
    module.add_class::<database::PyDatabase>()?;
    module.add_class::<diff::PyDiff>()?;
    module.add_class::<diff::PyTableDiff>()?;
    module.add_class::<lsn::PyLsn>()?;
    module.add_class::<mark::PyMark>()?;
    module.add_class::<rewound::PyRewound>()?;
    module.add_class::<status::PyStatus>()?;
    module.add_class::<status::PyPin>()?;
    module.add_class::<status::PyProcess>()?;
    module.add_class::<writer::PyWriter>()?;
    module.add_function(wrap_pyfunction!(open::open, module)?)?;
    module.add_function(wrap_pyfunction!(mark::from_pickle, module)?)?;
    module.add_function(wrap_pyfunction!(rewound::from_pickle, module)?)?;
    module.add_function(wrap_pyfunction!(writer::program, module)?)?;
    module.add_function(wrap_pyfunction!(keeper::keeper_main, module)?)?;
    module.add_function(wrap_pyfunction!(command::command_main, module)?)?;
    Ok(())
}
