use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use dbrewind_sqlite::{RewindOptions, Target};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::database::PyDatabase;
use crate::mark::PyMark;

/// What `Database.rewound()` gives to `with`.
#[pyclass(name = "_RewoundScope", module = "dbrewind", frozen)]
pub(crate) struct PyScope {
    database: Py<PyDatabase>,
    /// One for each time it was entered and not left.
    marks: Mutex<Vec<Py<PyMark>>>,
}

impl PyScope {
    pub(crate) fn of(database: Py<PyDatabase>) -> Self {
        Self { database, marks: Mutex::new(Vec::new()) }
    }
}

#[pymethods]
impl PyScope {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyMark>> {
        let mark = Py::new(py, self.database.get().mark(py, &fresh_name(self), false)?)?;
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).push(mark.clone_ref(py));
        Ok(mark)
    }

    #[pyo3(signature = (exc_type, exc, traceback, /))]
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc, traceback);
        let py = exc_type.py();
        let mark = self.marks.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mark = mark.ok_or_else(|| PyRuntimeError::new_err("left without having been entered"))?;
        let database = self.database.get();
        let target = Target::Lsn(mark.get().moment().lsn());
        let done = database.go(py, &target, RewindOptions::default())?;
        // Only now: after a failed rewind the mark is the way back.
        database.drop_mark(py, mark.get().called())?;
        database.tell(py, &done, mark.get().called())
    }
}

/// A name nobody else takes: no other process, no scope of this one that is alive, no earlier one.
fn fresh_name(scope: &PyScope) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("rewound {}-{:x}-{now:x}", std::process::id(), std::ptr::from_ref(scope).addr())
}
