use std::sync::Arc;
use std::time::Duration;

use dbrewind_core::Timestamp;
use dbrewind_sqlite::{MarkCounts, Pin, Process, Status, WindowState};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::lsn::PyLsn;
use crate::time::to_python;

/// How far back the history reaches, what the store takes, and how its marks do.
#[pyclass(name = "Status", module = "dbrewind", frozen)]
pub(crate) struct PyStatus {
    path: Arc<str>,
    status: Status,
}

impl PyStatus {
    pub(crate) fn of(path: &Arc<str>, status: Status) -> Self {
        Self { path: Arc::clone(path), status }
    }
}

#[pymethods]
impl PyStatus {
    /// "ok", "alert": something younger than the target was evicted, "full": no room and nothing to evict, "stopped".
    #[getter]
    fn state(&self) -> &'static str {
        match self.status.state {
            WindowState::Ok => "ok",
            WindowState::Alert => "alert",
            WindowState::Full => "full",
            WindowState::Stopped => "stopped",
        }
    }

    /// Bytes of the store.
    #[getter]
    fn used(&self) -> u64 {
        self.status.used
    }

    /// Of them, bytes of segments that are not sealed, among them room for what comes next.
    #[getter]
    fn raw(&self) -> u64 {
        self.status.raw
    }

    /// Of them, bytes of sealed segments.
    #[getter]
    fn sealed(&self) -> u64 {
        self.status.sealed
    }

    /// Most bytes that the store may have.
    #[getter]
    fn limit(&self) -> u64 {
        self.status.limit
    }

    /// How far back it shall reach.
    #[getter]
    fn target(&self) -> Duration {
        self.status.target
    }

    /// How far back it does reach.
    #[getter]
    fn window(&self) -> Duration {
        self.status.window
    }

    /// The oldest moment that can be reached.
    #[getter]
    fn earliest(&self) -> Option<PyLsn> {
        self.status.earliest.map(|(lsn, _)| PyLsn::of(&self.path, lsn))
    }

    /// Its time, in UTC.
    #[getter]
    fn earliest_time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.status.earliest.map(|(_, time)| to_python(py, time)).transpose()
    }

    /// How long a window the limit holds at the present rate; None: too little was recorded to tell.
    #[getter]
    fn forecast(&self) -> Option<Duration> {
        // As far as a timedelta goes.
        self.status.forecast.map(|forecast| forecast.min(Duration::from_secs(86_400 * 999_999_999)))
    }

    /// Pinned marks, oldest first.
    #[getter]
    fn pins(&self) -> Vec<PyPin> {
        self.status.pins.iter().map(|pin| PyPin { path: Arc::clone(&self.path), pin: pin.clone() }).collect()
    }

    /// How many marks there are, by state.
    #[getter]
    fn marks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let MarkCounts { hot, archived, evicted, lost } = self.status.marks;
        let counts = PyDict::new(py);
        for (state, count) in [("hot", hot), ("archived", archived), ("evicted", evicted), ("lost", lost)] {
            counts.set_item(state, count)?;
        }
        Ok(counts)
    }

    /// Other processes that have the store open and were stopped, by their numbers.
    #[getter]
    fn waits_for(&self) -> Vec<PyProcess> {
        self.status.waits_for.iter().cloned().map(PyProcess).collect()
    }

    fn __repr__(&self) -> String {
        let Status { used, limit, window, target, .. } = &self.status;
        let (window, target) = (span(*window), span(*target));
        format!("<Status {}, {used} of {limit} bytes, window {window} of {target}>", self.state())
    }
}

/// In the largest unit of which there are at least two.
fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// A mark that keeps what it needs from being evicted.
#[pyclass(name = "Pin", module = "dbrewind", frozen)]
pub(crate) struct PyPin {
    path: Arc<str>,
    pin: Pin,
}

#[pymethods]
impl PyPin {
    /// The mark's name.
    #[getter]
    fn name(&self) -> &str {
        self.pin.name.as_str()
    }

    /// The moment.
    #[getter]
    fn lsn(&self) -> PyLsn {
        PyLsn::of(&self.path, self.pin.lsn)
    }

    /// When it was made, in UTC.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let time: Timestamp = self.pin.time;
        to_python(py, time)
    }

    /// Bytes of the store from its era on to the newest era.
    #[getter]
    fn bytes(&self) -> u64 {
        self.pin.bytes
    }

    fn __repr__(&self) -> String {
        format!("<Pin {:?}, {} bytes>", self.name(), self.pin.bytes)
    }
}

/// Another process.
#[pyclass(name = "Process", module = "dbrewind", frozen)]
pub(crate) struct PyProcess(Process);

#[pymethods]
impl PyProcess {
    /// Its number.
    #[getter]
    fn pid(&self) -> u32 {
        self.0.pid
    }

    /// What the system calls it, 15 characters at most.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// It does not run: by Ctrl-Z, SIGSTOP or a debugger.
    #[getter]
    fn stopped(&self) -> bool {
        self.0.stopped
    }

    /// Which of the store's locks it has, in words.
    #[getter]
    fn holds(&self) -> Vec<String> {
        self.0.holds.clone()
    }

    fn __repr__(&self) -> String {
        let Process { pid, name, stopped, holds } = &self.0;
        let all = stopped.then_some("stopped").into_iter().chain(holds.iter().map(String::as_str));
        let all: String = all.map(|text| format!(", {text}")).collect();
        format!("<Process {pid} ({name}){all}>")
    }
}
