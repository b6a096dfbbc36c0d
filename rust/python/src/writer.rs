use dbrewind_sqlite::Writer;
use pyo3::prelude::*;

/// Who has written, or may have.
#[pyclass(name = "Writer", module = "dbrewind", frozen)]
pub(crate) struct PyWriter(Writer);

impl PyWriter {
    pub(crate) fn of(writer: Writer) -> Self {
        Self(writer)
    }
}

#[pymethods]
impl PyWriter {
    /// Its process.
    #[getter]
    fn pid(&self) -> u32 {
        self.0.pid
    }

    /// What that runs: the program, and the first argument that says more. Empty: not known.
    #[getter]
    fn program(&self) -> &str {
        &self.0.program
    }

    /// Whether the process still runs. None: not known, as of one in another container.
    #[getter]
    fn runs(&self) -> Option<bool> {
        self.0.runs
    }

    /// The thread that committed, as `threading.get_native_id()` has it. None: it was only seen to be connected.
    #[getter]
    fn thread(&self) -> Option<u32> {
        self.0.thread
    }

    /// Whether that thread is known to run still.
    #[getter]
    fn thread_runs(&self) -> bool {
        self.0.thread_runs
    }

    /// How many commits are its own for certain.
    #[getter]
    fn commits(&self) -> u64 {
        self.0.commits
    }

    fn __repr__(&self) -> String {
        let Writer { pid, program, runs, thread, commits, .. } = &self.0;
        let program = if program.is_empty() { String::new() } else { format!(" ({program})") };
        let ended = if *runs == Some(false) { ", ended" } else { "" };
        match thread {
            Some(thread) => format!("<Writer pid {pid}{program}{ended}, thread {thread}, {commits} commits>"),
            None => format!("<Writer pid {pid}{program}{ended}, connected>"),
        }
    }
}

/// What the process with this number runs, as `Writer.program` tells it; empty if there is none. Not for callers.
#[pyfunction]
#[pyo3(name = "_program", signature = (pid, /))]
pub(crate) fn program(pid: u32) -> String {
    dbrewind_sqlite::program(pid)
}
