use std::sync::{Arc, Mutex, PoisonError};

use dbrewind_core::Timestamp;
use dbrewind_sqlite::At;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::lsn::PyLsn;
use crate::time;

/// A moment of the database, to be read beside the live one.
#[pyclass(name = "At", module = "dbrewind", frozen)]
pub(crate) struct PyAt {
    uri: String,
    lsn: PyLsn,
    time: Timestamp,
    /// Keeps what the moment needs; `None` after `close`.
    held: Mutex<Option<At>>,
}

impl PyAt {
    pub(crate) fn of(path: &Arc<str>, at: At) -> Self {
        let lsn = PyLsn::of(path, at.lsn());
        Self { uri: at.uri().to_owned(), lsn, time: at.time(), held: Mutex::new(Some(at)) }
    }
}

#[pymethods]
impl PyAt {
    /// For `sqlite3.connect(at.uri, uri=True)`.
    #[getter]
    fn uri(&self) -> &str {
        &self.uri
    }

    /// The moment.
    #[getter]
    fn lsn(&self) -> PyLsn {
        self.lsn.clone()
    }

    /// When it was, in UTC.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time::to_python(py, self.time)
    }

    /// Why the newest read that failed did so: SQLite says no more than "disk I/O error". None after `close`.
    #[getter]
    fn failure(&self) -> Option<String> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(At::failure)
    }

    /// Give back what is kept for connections that are still to come. Open ones go on.
    fn close(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn __enter__<'a, 'py>(slf: &'a Bound<'py, Self>) -> &'a Bound<'py, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc, traceback, /))]
    fn __exit__(&self, exc_type: &Bound<'_, PyAny>, exc: &Bound<'_, PyAny>, traceback: &Bound<'_, PyAny>) {
        let _ = (exc_type, exc, traceback);
        self.close();
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "an At is of this process and cannot be pickled; give the other process its lsn, for the at of a Database \
             there, or the path of a copy that Database.clone makes",
        ))
    }

    fn __repr__(&self) -> String {
        format!("<At {}: {:?}>", self.lsn.lsn(), self.uri)
    }
}
