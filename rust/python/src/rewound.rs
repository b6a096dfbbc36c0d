use std::sync::Arc;

use dbrewind_sqlite::{Lsn, Method, Rewound, Timestamp};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::lsn::PyLsn;
use crate::time;

/// What a rewind did. It can be pickled. It is false, so that `setup=db.rewind` does for pytest-benchmark.
#[pyclass(name = "Rewound", module = "dbrewind", frozen)]
pub(crate) struct PyRewound {
    to: PyLsn,
    time: Timestamp,
    undo: PyLsn,
    pages: u64,
    seconds: f64,
    method: &'static str,
    /// For the pytest plugin. It is not pickled.
    position: Option<(u64, u64)>,
}

impl PyRewound {
    pub(crate) fn of(path: &Arc<str>, rewound: &Rewound) -> Self {
        Self {
            to: PyLsn::of(path, rewound.to),
            time: rewound.time,
            undo: PyLsn::of(path, rewound.undo),
            pages: rewound.pages,
            seconds: rewound.seconds,
            method: match rewound.method {
                Method::Moved => "moved",
                Method::Written => "written",
                Method::Nothing => "nothing",
            },
            position: rewound.position.map(|position| (position.lsn.get(), position.mark_changes)),
        }
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.method != "nothing"
    }
}

/// Of a result, as it is pickled: path, to, time, undo, pages, seconds, method.
type Parts = (String, u64, u64, u64, u64, f64, &'static str);

/// Makes a pickled result. Not for callers.
#[pyfunction]
#[pyo3(name = "_rewound", signature = (path, to, time, undo, pages, seconds, method, /))]
pub(crate) fn from_pickle(
    path: &str,
    to: u64,
    time: u64,
    undo: u64,
    pages: u64,
    seconds: f64,
    method: &str,
) -> PyResult<PyRewound> {
    let method = METHODS.into_iter().find(|known| *known == method);
    let method = method.ok_or_else(|| PyValueError::new_err("a result of another version"))?;
    let path = path.into();
    let (to, undo) = (PyLsn::of(&path, Lsn::new(to)), PyLsn::of(&path, Lsn::new(undo)));
    Ok(PyRewound { to, time: Timestamp::new(time), undo, pages, seconds, method, position: None })
}

const METHODS: [&str; 3] = ["moved", "written", "nothing"];

#[pymethods]
impl PyRewound {
    /// The moment whose state the database has now.
    #[getter]
    fn to(&self) -> PyLsn {
        self.to.clone()
    }

    /// When that moment was the newest one for the first time, in UTC.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time::to_python(py, self.time)
    }

    /// The moment just before; rewind to it to take the rewind back.
    #[getter]
    fn undo(&self) -> PyLsn {
        self.undo.clone()
    }

    /// Pages that were written.
    #[getter]
    fn pages(&self) -> u64 {
        self.pages
    }

    /// How long it took, waiting included.
    #[getter]
    fn seconds(&self) -> f64 {
        self.seconds
    }

    /// "moved", "written" or "nothing".
    #[getter]
    fn method(&self) -> &'static str {
        self.method
    }

    /// For the pytest plugin: what `Database._position_at` would have said right after it; `None`: that has to be asked.
    #[getter]
    fn _position(&self) -> Option<(u64, u64)> {
        self.position
    }

    /// Always: pytest-benchmark's `pedantic` takes what its `setup` returns for arguments if that is true.
    fn __bool__(&self) -> bool {
        false
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Parts)> {
        let ((path, to), (_, undo)) = (self.to.parts(), self.undo.parts());
        let parts = (path, to, self.time.get(), undo, self.pages, self.seconds, self.method);
        Ok((py.import("dbrewind._dbrewind")?.getattr("_rewound")?, parts))
    }

    fn __repr__(&self) -> String {
        let Self { to, time: _, undo, pages, seconds, method, position: _ } = self;
        let milliseconds = seconds * 1e3;
        format!(
            "<Rewound to {} from {}: {method}, {pages} pages, {milliseconds:.3} ms>",
            to.lsn(),
            undo.lsn()
        )
    }
}
