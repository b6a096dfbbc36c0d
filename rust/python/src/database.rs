use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use dbrewind_keeper::{Choice, Error, Handle};
use dbrewind_sqlite::{JournalMode, RewindOptions, Target};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::arguments::{self, file_name, seconds};
use crate::at::PyAt;
use crate::diff::PyDiff;
use crate::error::{raise, warn_of_unsafe_journal};
use crate::lsn::PyLsn;
use crate::mark::PyMark;
use crate::rewound::PyRewound;
use crate::scope::PyScope;
use crate::signals::detached;
use crate::status::PyStatus;

/// A database that is being recorded. Any thread may call it; the interpreter lock is free meanwhile.
#[pyclass(name = "Database", module = "dbrewind", frozen, weakref)]
pub(crate) struct PyDatabase {
    handle: Arc<Handle>,
    path: Arc<str>,
    /// Set when the warning was issued.
    warned: OnceLock<()>,
}

impl PyDatabase {
    /// Makes the Python object, and sees to it that it is closed when it is collected or Python ends.
    pub(crate) fn wrap(py: Python<'_>, handle: Handle) -> PyResult<Bound<'_, Self>> {
        let handle = Arc::new(handle);
        let path = handle.path().to_string_lossy().into();
        let closer = Arc::clone(&handle);
        let close = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            // Nobody is left who could act on an error; in a forked child it is the expected one.
            let _ = args.py().detach(|| closer.close());
        };
        let database = Bound::new(py, Self { handle, path, warned: OnceLock::new() })?;
        let close = PyCFunction::new_closure(py, None, None, close)?;
        // Objects that are still referred to when Python ends are not collected; `finalize` runs then, too.
        py.import("weakref")?.call_method1("finalize", (&database, close))?;
        database.get().warn(py)?;
        Ok(database)
    }

    /// Warns once of a connection that a kill would turn into damage.
    fn warn(&self, py: Python<'_>) -> PyResult<()> {
        if self.handle.is_unguarded() && self.warned.set(()).is_ok() {
            return warn_of_unsafe_journal(py);
        }
        Ok(())
    }

    /// What a caller calls a moment of this database.
    fn target(&self, to: &Bound<'_, PyAny>) -> PyResult<Target> {
        arguments::target(to, &self.path)
    }

    /// Runs one call of the engine without the interpreter lock, and with an ear for signals.
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&Handle) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        detached(py, || call(&self.handle))
    }
}

#[pymethods]
impl PyDatabase {
    /// The database file, absolute.
    #[getter]
    fn path(&self) -> &Path {
        self.handle.path()
    }

    /// The store folder, absolute.
    #[getter]
    fn store(&self) -> &Path {
        self.handle.store_path()
    }

    /// How the database journals: "wal", or "rollback" for every other mode.
    #[getter]
    fn journal(&self) -> &'static str {
        match self.handle.journal() {
            JournalMode::Wal => "wal",
            JournalMode::Rollback => "rollback",
        }
    }

    /// Where recording runs: "inside" this process, or in the "keeper".
    #[getter]
    fn engine(&self) -> &'static str {
        match self.handle.engine() {
            Choice::Keeper => "keeper",
            Choice::Inside | Choice::Auto => "inside",
        }
    }

    /// Name the present moment. Pinned, it keeps what it needs until it is dropped.
    #[pyo3(signature = (name, *, pin=false))]
    pub(crate) fn mark(&self, py: Python<'_>, name: &str, pin: bool) -> PyResult<PyMark> {
        self.warn(py)?;
        let mark = self.run(py, |handle| if pin { handle.mark_pinned(name) } else { handle.mark(name) })?;
        Ok(PyMark::of(&self.path, mark))
    }

    /// How far back the history reaches, what the store takes, and how its marks do.
    fn status(&self, py: Python<'_>) -> PyResult<PyStatus> {
        Ok(PyStatus::of(&self.path, self.run(py, Handle::status)?))
    }

    /// All marks, oldest first.
    fn marks(&self, py: Python<'_>) -> PyResult<Vec<PyMark>> {
        let marks = self.run(py, Handle::marks)?;
        Ok(marks.into_iter().map(|mark| PyMark::of(&self.path, mark)).collect())
    }

    /// Forget a mark. The history stays.
    #[pyo3(name = "drop")]
    pub(crate) fn drop_mark(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.run(py, |handle| handle.drop_mark(name))
    }

    /// Make the database what it was at `to`, in place.
    #[pyo3(signature = (to, *, timeout=None, use_earliest=false))]
    pub(crate) fn rewind(
        &self,
        to: &Bound<'_, PyAny>,
        timeout: Option<f64>,
        use_earliest: bool,
    ) -> PyResult<PyRewound> {
        let py = to.py();
        let target = self.target(to)?;
        let timeout = timeout.map(|given| seconds(py, given)).transpose()?;
        self.warn(py)?;
        let options = RewindOptions { timeout, use_earliest };
        let done = self.run(py, |handle| handle.rewind(&target, options))?;
        Ok(PyRewound::of(&self.path, &done))
    }

    /// For a `with` block: what is written inside is rewound at its end.
    fn rewound(slf: &Bound<'_, Self>) -> PyScope {
        PyScope::of(slf.clone().unbind())
    }

    /// The database as it was at `to`, to be read beside the live one.
    fn at(&self, to: &Bound<'_, PyAny>) -> PyResult<PyAt> {
        let target = self.target(to)?;
        Ok(PyAt::of(&self.path, self.run(to.py(), |handle| handle.at(&target))?))
    }

    /// Copy the database as it was at `to` into a new file.
    #[pyo3(name = "clone")]
    fn clone_to(&self, to: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let target = self.target(to)?;
        let path = file_name(path)?;
        self.run(to.py(), |handle| handle.clone_to(&target, &path))
    }

    /// Which rows differ between two moments.
    #[pyo3(signature = (a, b=None))]
    fn diff(&self, a: &Bound<'_, PyAny>, b: Option<&Bound<'_, PyAny>>) -> PyResult<PyDiff> {
        let from = self.target(a)?;
        let to = b.map(|b| self.target(b)).transpose()?;
        Ok(PyDiff::of(&self.path, self.run(a.py(), |handle| handle.diff(&from, to.as_ref()))?))
    }

    /// Whether anything was committed since `to`.
    fn dirty_since(&self, to: &Bound<'_, PyAny>) -> PyResult<bool> {
        let target = self.target(to)?;
        self.run(to.py(), |handle| handle.dirty_since(&target))
    }

    /// The present moment: the newest commit or rewind.
    fn now(&self, py: Python<'_>) -> PyResult<PyLsn> {
        Ok(PyLsn::of(&self.path, self.run(py, Handle::now)?))
    }

    /// xxh3-128 of every page in hex, without the counters that only grow.
    fn digest(&self, py: Python<'_>) -> PyResult<String> {
        let digest = self.run(py, Handle::digest)?;
        let mut text = String::with_capacity(2 * digest.len());
        for byte in digest {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    /// Stop recording. Closing twice is allowed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // Not to be interrupted: it stops recording in any case, and marks survive only if it gets done.
        py.detach(|| self.handle.close()).map_err(|error| raise(py, &error))
    }

    fn __enter__<'a, 'py>(slf: &'a Bound<'py, Self>) -> &'a Bound<'py, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc, traceback, /))]
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc, traceback);
        self.close(exc_type.py())
    }

    fn __repr__(&self) -> String {
        format!("<Database {:?}, {}>", &*self.path, self.journal())
    }
}
