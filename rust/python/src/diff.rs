use std::sync::Arc;

use dbrewind_sqlite::{Diff, TableDiff, Value};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::lsn::PyLsn;

/// What differs between two moments.
#[pyclass(name = "Diff", module = "dbrewind", frozen)]
pub(crate) struct PyDiff {
    before: PyLsn,
    after: PyLsn,
    diff: Diff,
}

impl PyDiff {
    pub(crate) fn of(path: &Arc<str>, diff: Diff) -> Self {
        Self { before: PyLsn::of(path, diff.from), after: PyLsn::of(path, diff.to), diff }
    }
}

#[pymethods]
impl PyDiff {
    /// The first moment.
    #[getter]
    fn before(&self) -> PyLsn {
        self.before.clone()
    }

    /// The second moment.
    #[getter]
    fn after(&self) -> PyLsn {
        self.after.clone()
    }

    /// What of the schema differs, and how: {"table users": "created"}.
    #[getter]
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for change in &self.diff.schema {
            all.set_item(format!("{} {}", change.kind, change.name), change.how.to_string())?;
        }
        Ok(all)
    }

    /// The tables with rows that differ, by name.
    #[getter]
    fn tables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, table) in &self.diff.tables {
            all.set_item(name, PyTableDiff { table: table.clone() })?;
        }
        Ok(all)
    }

    /// The counters that differ, each with what it was and is: {"sqlite_sequence.users": (2, 5)}.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, counter) in &self.diff.counters {
            all.set_item(name, (counter.before, counter.after))?;
        }
        Ok(all)
    }

    /// How many pages were read for it.
    #[getter]
    fn pages_read(&self) -> u64 {
        self.diff.pages_read
    }

    fn __bool__(&self) -> bool {
        !self.diff.is_empty()
    }

    fn __str__(&self) -> String {
        self.diff.to_string()
    }

    fn __repr__(&self) -> String {
        let (tables, schema) = (self.diff.tables.len(), self.diff.schema.len());
        let (before, after) = (self.diff.from, self.diff.to);
        format!("<Diff from {before} to {after}: {tables} tables, {schema} changes of the schema>")
    }
}

/// The rows of one table that differ, by their keys.
#[pyclass(name = "TableDiff", module = "dbrewind", frozen)]
pub(crate) struct PyTableDiff {
    table: TableDiff,
}

#[pymethods]
impl PyTableDiff {
    /// There at the second moment only.
    #[getter]
    fn inserted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        keys(py, &self.table.inserted)
    }

    /// There at the first moment only.
    #[getter]
    fn deleted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        keys(py, &self.table.deleted)
    }

    /// There at both, with different content.
    #[getter]
    fn updated<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        keys(py, &self.table.updated)
    }

    fn __repr__(&self) -> String {
        let TableDiff { inserted, deleted, updated } = &self.table;
        format!(
            "<TableDiff {} inserted, {} deleted, {} updated>",
            inserted.len(),
            deleted.len(),
            updated.len()
        )
    }
}

/// A key of one value as that value, of several as a tuple.
fn keys<'py>(py: Python<'py>, all: &[Vec<Value>]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for key in all {
        let values = key.iter().map(|value| object(py, value)).collect::<PyResult<Vec<_>>>()?;
        match values.as_slice() {
            [one] => list.append(one)?,
            several => list.append(PyTuple::new(py, several)?)?,
        }
    }
    Ok(list)
}

fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Integer(number) => number.into_bound_py_any(py),
        Value::Real(number) => number.into_bound_py_any(py),
        Value::Text(text) => text.into_bound_py_any(py),
        Value::Blob(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
    }
}
