use std::path::Path;

use dbrewind_core::Code;
use dbrewind_keeper::{Choice, Handle};
use dbrewind_sqlite::{Journal, Moments, OpenOptions, Synchronous};
use pyo3::prelude::*;

use crate::arguments::{bytes, file_name, not_one_of, seconds, span};
use crate::database::PyDatabase;
use crate::error::with_code;
use crate::signals::detached;
use crate::{host, keeper};

/// Attach to a database file and record it from now on, until `close`.
#[pyfunction]
#[pyo3(signature = (path, *, store=None, timeout=5.0, synchronous="normal", journal=None, default_vfs=true, engine="auto", limit=None, window=None, seal=true, moments=None))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python function")]
pub(crate) fn open<'py>(
    py: Python<'py>,
    path: &Bound<'py, PyAny>,
    store: Option<&Bound<'py, PyAny>>,
    timeout: f64,
    synchronous: &str,
    journal: Option<&str>,
    default_vfs: bool,
    engine: &str,
    limit: Option<i64>,
    window: Option<&Bound<'py, PyAny>>,
    seal: bool,
    moments: Option<&str>,
) -> PyResult<Bound<'py, PyDatabase>> {
    let path = file_name(path)?;
    if path == Path::new("") || path == Path::new(":memory:") {
        let text =
            "a database in memory has no file that could be recorded; use a file, for speed on a tmpfs";
        return Err(with_code(py, Code::Unsupported, text));
    }
    let options = OpenOptions {
        store: store.map(file_name).transpose()?,
        timeout: seconds(py, timeout)?,
        synchronous: match synchronous {
            "off" => Synchronous::Off,
            "normal" => Synchronous::Normal,
            "full" => Synchronous::Full,
            other => return Err(not_one_of(py, "synchronous", other, r#""off", "normal" or "full""#)),
        },
        journal: match journal {
            None => None,
            Some("wal") => Some(Journal::Wal),
            Some("delete") => Some(Journal::Delete),
            Some(other) => return Err(not_one_of(py, "journal", other, r#""wal", "delete" or None"#)),
        },
        default_vfs,
        limit: limit.map(|limit| bytes(py, limit)).transpose()?,
        window: window.map(span).transpose()?,
        seal,
        moments: match moments {
            None => None,
            Some("marks") => Some(Moments::Marks),
            Some("commits") => Some(Moments::Commits),
            Some(other) => return Err(not_one_of(py, "moments", other, r#""marks", "commits" or None"#)),
        },
        ..OpenOptions::default()
    };
    let choice = match engine {
        "auto" => Choice::Auto,
        "inside" => Choice::Inside,
        "keeper" => Choice::Keeper,
        other => return Err(not_one_of(py, "engine", other, r#""auto", "inside" or "keeper""#)),
    };
    let api = host::sqlite(py);
    let command = keeper::command(py)?;
    let handle = detached(py, || Handle::open(choice, api, &command, &path, &options))?;
    PyDatabase::wrap(py, handle)
}
