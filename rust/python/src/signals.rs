//! Ctrl-C while a call waits: signal handlers of Python run between two looks at a lock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use dbrewind_keeper::{Error, interruptible};
use pyo3::prelude::*;

use crate::error::raise;

/// Runs one call of the engine without the interpreter lock. While it waits for somebody else, signal handlers run
/// about every 50 ms; what one raises ends the wait, and is raised here.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    // Elsewhere no handler ever runs, and a thread must not touch an interpreter that is about to end.
    if !on_main_thread(py)? {
        return py.detach(call).map_err(|error| raise(py, &error));
    }
    let (result, raised) = py.detach(|| {
        let raised = Rc::new(RefCell::new(None));
        let found = Rc::clone(&raised);
        let stop = move || {
            let error = Python::try_attach(|py| py.check_signals().err()).flatten();
            let stop = error.is_some();
            *found.borrow_mut() = error;
            stop
        };
        let result = interruptible(stop, call);
        (result, raised.take())
    });
    match (result, raised) {
        // Also after a success: it came when the wait was over already, and must not be lost.
        (_, Some(raised)) => Err(raised),
        (result, None) => result.map_err(|error| raise(py, &error)),
    }
}

/// Whether this is the thread that runs signal handlers.
fn on_main_thread(py: Python<'_>) -> PyResult<bool> {
    thread_local! {
        /// The answer, and the process it was given in: the thread that forks is the main one of the child.
        static KNOWN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    }
    let process = std::process::id();
    if let Some((known, answer)) = KNOWN.get()
        && known == process
    {
        return Ok(answer);
    }
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    let answer = main.eq(threading.call_method0("get_ident")?)?;
    KNOWN.set(Some((process, answer)));
    Ok(answer)
}
