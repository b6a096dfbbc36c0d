use std::sync::Arc;

use dbrewind_core::Timestamp;
use dbrewind_sqlite::{Mark, MarkState};
use pyo3::prelude::*;

use crate::lsn::PyLsn;
use crate::time;

/// A named moment.
#[pyclass(name = "Mark", module = "dbrewind", frozen)]
pub(crate) struct PyMark {
    name: String,
    lsn: PyLsn,
    time: Timestamp,
    pages: u64,
    state: &'static str,
    pinned: bool,
}

impl PyMark {
    pub(crate) fn of(path: &Arc<str>, mark: Mark) -> Self {
        Self {
            lsn: PyLsn::of(path, mark.lsn),
            time: mark.time,
            pages: mark.pages,
            state: match mark.state {
                MarkState::Hot => "hot",
                MarkState::Archived => "archived",
                MarkState::Evicted => "evicted",
                MarkState::Lost => "lost",
            },
            pinned: mark.pinned,
            name: mark.name,
        }
    }

    pub(crate) fn called(&self) -> &str {
        &self.name
    }

    pub(crate) fn moment(&self) -> &PyLsn {
        &self.lsn
    }
}

#[pymethods]
impl PyMark {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The moment.
    #[getter]
    fn lsn(&self) -> PyLsn {
        self.lsn.clone()
    }

    /// When it was made, in UTC.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time::to_python(py, self.time)
    }

    /// Whether it keeps what it needs from being evicted.
    #[getter]
    fn pinned(&self) -> bool {
        self.pinned
    }

    /// Length of the database then, in pages.
    #[getter]
    fn pages(&self) -> u64 {
        self.pages
    }

    /// "hot": a rewind costs the same for any change; "archived": it costs what differs; "evicted", "lost": refused.
    #[getter]
    fn state(&self) -> &'static str {
        self.state
    }

    fn __repr__(&self) -> String {
        format!("<Mark {:?} at {}, {} pages, {}>", self.name, self.lsn.lsn(), self.pages, self.state)
    }
}
