use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dbrewind_core::Lsn;
use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// A moment in the history of one database. Ordered among moments of that database only.
///
/// It carries the database's path, because the number alone would also be *a* moment of any other one.
#[pyclass(name = "Lsn", module = "dbrewind", frozen)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyLsn {
    path: Arc<str>,
    lsn: Lsn,
}

impl PyLsn {
    pub(crate) fn of(path: &Arc<str>, lsn: Lsn) -> Self {
        Self { path: Arc::clone(path), lsn }
    }

    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// For a class that is to be pickled with it: its database and its number.
    pub(crate) fn parts(&self) -> (String, u64) {
        (self.path.to_string(), self.lsn.get())
    }

    pub(crate) fn is_of(&self, path: &str) -> bool {
        &*self.path == path
    }
}

#[pymethods]
impl PyLsn {
    #[new]
    fn new(path: &str, number: u64) -> Self {
        Self { path: path.into(), lsn: Lsn::new(number) }
    }

    #[getter]
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    #[getter]
    fn number(&self) -> u64 {
        self.lsn.get()
    }

    fn __richcmp__(&self, other: &Self, op: CompareOp) -> PyResult<bool> {
        match op {
            CompareOp::Eq => Ok(self == other),
            CompareOp::Ne => Ok(self != other),
            _ if self.path != other.path => {
                Err(PyTypeError::new_err("moments of different databases have no order"))
            }
            _ => Ok(op.matches(self.lsn.cmp(&other.lsn))),
        }
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("Lsn({:?}, {})", &*self.path, self.lsn)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, pyo3::types::PyType>, (String, u64)) {
        (slf.get_type(), slf.get().parts())
    }
}
