//! One Python class for each row of the `DBR` table, below one root.

use std::fmt::Display;

use dbrewind_core::Code;
use pyo3::exceptions::{
    PyException, PyFileNotFoundError, PyLookupError, PyOSError, PyPermissionError, PyTimeoutError,
    PyUserWarning, PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

static UNSAFE_JOURNAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static CLASSES: PyOnceLock<Vec<(Code, Py<PyType>)>> = PyOnceLock::new();

/// Makes the classes and puts them into the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let doc = "Root of all errors of this package. The text says what happened, why, and what to do.";
    let root = class(py, "Error", (py.get_type::<PyException>(),).into_pyobject(py)?, doc, Code::Internal)?;
    module.add("Error", &root)?;

    let dict = PyDict::new(py);
    dict.set_item("__module__", "dbrewind")?;
    dict.set_item(
        "__doc__",
        "A connection works without a journal on disk: a kill would tear the database.",
    )?;
    let bases = (py.get_type::<PyUserWarning>(),);
    let warning =
        py.get_type::<PyType>().call1(("UnsafeJournalWarning", bases, dict))?.cast_into::<PyType>()?;
    module.add("UnsafeJournalWarning", &warning)?;
    let _ = UNSAFE_JOURNAL.set(py, warning.unbind());

    let mut classes = Vec::with_capacity(Code::ALL.len());
    // What ends a wait in Python is a signal handler's own exception.
    for &code in Code::ALL.iter().filter(|code| **code != Code::Interrupted) {
        let bases = match also_a(py, code) {
            Some(base) => (root.clone(), base).into_pyobject(py)?,
            None => (root.clone(),).into_pyobject(py)?,
        };
        let name = format!("{code:?}Error");
        let doc = format!("{code}: {}.\n\n{}", code.title(), code.explanation());
        let made = class(py, &name, bases, &doc, code)?;
        module.add(name, &made)?;
        classes.push((code, made.unbind()));
    }
    // A second import in one process (sub-interpreters are refused by PyO3) finds the first one's classes.
    let _ = CLASSES.set(py, classes);
    Ok(())
}

/// The built-in exception that callers who do not know us catch for this.
fn also_a(py: Python<'_>, code: Code) -> Option<Bound<'_, PyType>> {
    Some(match code {
        Code::Busy => py.get_type::<PyTimeoutError>(),
        Code::MarkNotFound => py.get_type::<PyLookupError>(),
        Code::StoreFull | Code::Io => py.get_type::<PyOSError>(),
        Code::FileMissing => py.get_type::<PyFileNotFoundError>(),
        Code::NotWritable => py.get_type::<PyPermissionError>(),
        Code::InvalidArgument => py.get_type::<PyValueError>(),
        _ => return None,
    })
}

/// `type(name, bases, {...})`. The class attribute `code` needs no pickling, so the errors pickle as any exception.
fn class<'py>(
    py: Python<'py>,
    name: &str,
    bases: Bound<'py, PyTuple>,
    doc: &str,
    code: Code,
) -> PyResult<Bound<'py, PyType>> {
    let dict = PyDict::new(py);
    dict.set_item("__module__", "dbrewind")?;
    dict.set_item("__doc__", doc)?;
    dict.set_item("code", code.text())?;
    Ok(py.get_type::<PyType>().call1((name, bases, dict))?.cast_into::<PyType>()?)
}

/// Issues the warning of `journal_mode` OFF and MEMORY.
pub(crate) fn warn_of_unsafe_journal(py: Python<'_>) -> PyResult<()> {
    let Some(class) = UNSAFE_JOURNAL.get(py) else { return Ok(()) };
    let text = c"a connection of this process works with journal_mode OFF or MEMORY: if it is killed inside a \
                 transaction, the database is torn and its marks are lost; use DELETE, TRUNCATE, PERSIST or WAL";
    PyErr::warn(py, class.bind(py), text, 1)
}

/// The exception for an error of the engine.
pub(crate) fn raise(py: Python<'_>, error: &dbrewind_keeper::Error) -> PyErr {
    with_code(py, error.code(), error)
}

/// The exception for a code, with a text of its own.
pub(crate) fn with_code(py: Python<'_>, code: Code, text: impl Display) -> PyErr {
    let text = format!("[{code}] {text}");
    let class = CLASSES.get(py).and_then(|all| all.iter().find(|(known, _)| *known == code));
    match class {
        Some((_, class)) => PyErr::from_type(class.bind(py).clone(), text),
        None => PyException::new_err(text),
    }
}
