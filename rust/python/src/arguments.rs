//! What callers give, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use dbrewind_core::{Code, Lsn};
use dbrewind_sqlite::{Target, TargetError};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

use crate::error::with_code;
use crate::lsn::PyLsn;
use crate::mark::PyMark;
use crate::time::{self, Given};

/// What a caller calls a moment of the database at a path. A moment of another one is refused: its number would be one here, too.
pub(crate) fn target(to: &Bound<'_, PyAny>, path: &str) -> PyResult<Target> {
    if let Ok(text) = to.extract::<String>() {
        return text.parse().map_err(|error: TargetError| with_code(to.py(), error.code(), error));
    }
    let moment = if let Ok(mark) = to.cast::<PyMark>() {
        mark.get().moment().clone()
    } else if let Ok(moment) = to.cast::<PyLsn>() {
        moment.get().clone()
    } else {
        return time_of(to);
    };
    check_path(to, &moment, path)?;
    Ok(Target::Lsn(moment.lsn()))
}

fn check_path(given: &Bound<'_, PyAny>, moment: &PyLsn, path: &str) -> PyResult<()> {
    if moment.is_of(path) {
        return Ok(());
    }
    let text = format!("this is a moment of {:?}, not of {path:?}", moment.path());
    Err(with_code(given.py(), Code::InvalidArgument, text))
}

/// A mark, or its name: the name, and of a mark its moment.
pub(crate) fn mark(given: &Bound<'_, PyAny>, path: &str) -> PyResult<(String, Option<Lsn>)> {
    if let Ok(mark) = given.cast::<PyMark>() {
        let mark = mark.get();
        check_path(given, mark.moment(), path)?;
        return Ok((mark.called().to_owned(), Some(mark.moment().lsn())));
    }
    given.extract::<String>().map(|name| (name, None)).map_err(|_| {
        let kind = given.get_type().name().map_or_else(|_| "that".to_owned(), |kind| kind.to_string());
        PyTypeError::new_err(format!("expected a mark or its name, not {kind}"))
    })
}

/// A moment given by its time.
fn time_of(to: &Bound<'_, PyAny>) -> PyResult<Target> {
    match time::from_python(to)? {
        Given::Time(time) => Ok(Target::Time(time)),
        Given::Naive => {
            let text = format!(
                "{} does not say in which time zone it is; use datetime.now(timezone.utc), or to.astimezone() if it is \
                 local time",
                to.repr()?
            );
            Err(with_code(to.py(), Code::InvalidArgument, text))
        }
        Given::Else => {
            let kind = to.get_type().name()?;
            Err(PyTypeError::new_err(format!(
                "expected a mark's name, a time as text or datetime, a Mark or an Lsn, not {kind}"
            )))
        }
    }
}

/// What the `os` functions take: `str`, `bytes`, or an object with a path.
pub(crate) fn file_name(argument: &str, given: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    let name = given.py().import("os")?.call_method1("fsdecode", (given,)).map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(given.py()) {
            return error;
        }
        let kind = given.get_type().name().map_or_else(|_| "that".to_owned(), |kind| kind.to_string());
        PyTypeError::new_err(format!("{argument} must be a str, bytes or os.PathLike object, not {kind}"))
    });
    let name: PathBuf = name?.extract()?;
    if name.as_os_str().as_encoded_bytes().contains(&0) {
        let text = format!("{argument} must be the name of a file, and {name:?} has a zero in it");
        return Err(with_code(given.py(), Code::InvalidArgument, text));
    }
    Ok(name)
}

/// A timeout as Python gives it.
pub(crate) fn seconds(py: Python<'_>, timeout: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(timeout).map_err(|_| {
        let text = format!("timeout must be a number of seconds, 0 or more, not {timeout}");
        with_code(py, Code::InvalidArgument, text)
    })
}

/// A size. What is too low, the engine says.
pub(crate) fn bytes(given: &Bound<'_, PyAny>) -> PyResult<u64> {
    let wrong = |given: &str| {
        format!("limit must be a number of bytes, 1048576 (1 MiB) or more, such as 2 * 1024**3, not {given}")
    };
    // A bool is an int to Python.
    let number = (!given.is_instance_of::<PyBool>()).then(|| given.extract::<i64>());
    match number {
        Some(Ok(number)) => u64::try_from(number)
            .map_err(|_| with_code(given.py(), Code::InvalidArgument, wrong(&number.to_string()))),
        _ if given.is_instance_of::<PyInt>() && !given.is_instance_of::<PyBool>() => {
            Err(with_code(given.py(), Code::InvalidArgument, wrong(&given.to_string())))
        }
        _ => Err(PyTypeError::new_err(wrong(&given.repr()?.to_string()))),
    }
}

/// A `timedelta`, or a number of seconds.
pub(crate) fn span(given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let py = given.py();
    if let Ok(span) = given.extract::<Duration>() {
        return Ok(span);
    }
    let wrong = || {
        let text =
            format!("window must be a timedelta or a number of seconds, 1 second or more, not {given}");
        with_code(py, Code::InvalidArgument, text)
    };
    let seconds: f64 = given.extract().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// For an argument that is one of some words.
pub(crate) fn not_one_of(py: Python<'_>, argument: &str, given: &str, allowed: &str) -> PyErr {
    with_code(py, Code::InvalidArgument, format!("{argument} must be {allowed}, not {given:?}"))
}
