use std::sync::Arc;

use dbrewind_core::{Lsn, Timestamp};
use dbrewind_sqlite::{Mark, MarkState};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::lsn::PyLsn;
use crate::time;

/// A named moment. Another process may get it pickled, for its own recording of the same database.
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

/// Of a mark, as it is pickled: path, LSN, name, time, pages, state, pinned.
type Parts = (String, u64, String, u64, u64, &'static str, bool);

/// Makes a pickled mark. Not for callers.
#[pyfunction]
#[pyo3(name = "_mark", signature = (path, lsn, name, time, pages, state, pinned, /))]
pub(crate) fn from_pickle(
    path: &str,
    lsn: u64,
    name: String,
    time: u64,
    pages: u64,
    state: &str,
    pinned: bool,
) -> PyResult<PyMark> {
    let state = STATES.into_iter().find(|known| *known == state);
    let state = state.ok_or_else(|| PyValueError::new_err("a mark of another version"))?;
    let lsn = PyLsn::of(&path.into(), Lsn::new(lsn));
    Ok(PyMark { name, lsn, time: Timestamp::new(time), pages, state, pinned })
}

const STATES: [&str; 4] = ["hot", "archived", "evicted", "lost"];

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

    /// What it says is as of when it was asked for, there as here.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Parts)> {
        let (path, lsn) = self.lsn.parts();
        let parts = (path, lsn, self.name.clone(), self.time.get(), self.pages, self.state, self.pinned);
        Ok((py.import("dbrewind._dbrewind")?.getattr("_mark")?, parts))
    }

    fn __repr__(&self) -> String {
        format!("<Mark {:?} at {}, {} pages, {}>", self.name, self.lsn.lsn(), self.pages, self.state)
    }
}
