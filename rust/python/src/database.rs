use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dbrewind_core::{Code, Lsn};
use dbrewind_keeper::{Choice, Error, Handle};
use dbrewind_sqlite::{JournalMode, Position, RewindOptions, Target};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::arguments::{self, file_name, seconds};
use crate::at::PyAt;
use crate::diff::PyDiff;
use crate::error::{raise, warn_of_unsafe_journal, with_code};
use crate::lsn::PyLsn;
use crate::mark::PyMark;
use crate::rewound::PyRewound;
use crate::scope::PyScope;
use crate::signals::detached;
use crate::status::PyStatus;
use crate::writer::PyWriter;

/// A database that is being recorded. Any thread may call it; the interpreter lock is free meanwhile.
///
/// Closed by `close`, at the end of a `with` block, or when it is collected.
#[pyclass(name = "Database", module = "dbrewind", frozen, weakref)]
pub(crate) struct PyDatabase {
    handle: Arc<Handle>,
    path: Arc<str>,
    /// Set when the warning was issued.
    warned: OnceLock<()>,
    /// For `repr` alone.
    closed: AtomicBool,
    /// While the pytest plugin lends this handle to tests: marks that they must not drop. Nor must they close it then.
    held: Mutex<Option<Vec<String>>>,
    /// What it wants to be told of: each rewind through this handle that changed something.
    watcher: Mutex<Option<Py<PyAny>>>,
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
        let database = Bound::new(
            py,
            Self {
                handle,
                path,
                warned: OnceLock::new(),
                closed: AtomicBool::new(false),
                held: Mutex::new(None),
                watcher: Mutex::new(None),
            },
        )?;
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

    pub(crate) fn drop_mark(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.check_lent(py, Some(name))?;
        self.run(py, |handle| handle.drop_mark(name))
    }

    /// What a caller calls a moment of this database.
    fn target(&self, to: &Bound<'_, PyAny>) -> PyResult<Target> {
        arguments::target(to, &self.path)
    }

    /// As for `target`; nothing given: the newest mark, whether it can be reached or not.
    fn target_or_newest(&self, py: Python<'_>, to: Option<&Bound<'_, PyAny>>) -> PyResult<Target> {
        if let Some(to) = to {
            return self.target(to);
        }
        let newest = self.run(py, Handle::marks)?.pop();
        newest.map(|mark| Target::Name(mark.name)).ok_or_else(|| {
            let text = format!("{} has no mark yet; mark(\"name\") sets one", &*self.path);
            with_code(py, Code::MarkNotFound, text)
        })
    }

    pub(crate) fn go(&self, py: Python<'_>, target: &Target, options: RewindOptions) -> PyResult<PyRewound> {
        self.warn(py)?;
        let done = self.run(py, |handle| handle.rewind(target, options))?;
        Ok(PyRewound::of(&self.path, &done))
    }

    /// Tells of a rewind to a mark, or (`""`) to another moment.
    pub(crate) fn tell(&self, py: Python<'_>, done: &PyRewound, mark: &str) -> PyResult<()> {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let watcher = watcher.as_ref().map(|watcher| watcher.clone_ref(py));
        match watcher {
            Some(watcher) if done.has_changed() => watcher.call1(py, (mark,)).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Refuses what would take the handle, or this mark, from whoever lent it.
    fn check_lent(&self, py: Python<'_>, mark: Option<&str>) -> PyResult<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_ref() else { return Ok(()) };
        let text = match mark {
            None => "this handle belongs to the pytest fixture dbrewind, which needs it after this test, too; to close one, \
                     open another with dbrewind.open(dbrewind_db.path)"
                .to_owned(),
            Some(name) if held.iter().any(|held| held == name) => format!(
                "the mark {name:?} belongs to the pytest fixture dbrewind, which rewinds to it after each test; drop only \
                 marks that the test has set (they are dropped after it anyway)"
            ),
            Some(_) => return Ok(()),
        };
        Err(with_code(py, Code::Unsupported, text))
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

    /// How the database journals now: "wal", or "rollback" for every other mode.
    #[getter]
    fn journal(&self) -> &'static str {
        match self.handle.journal() {
            JournalMode::Wal => "wal",
            JournalMode::Rollback => "rollback",
        }
    }

    /// Where recording runs: in this process, or in the keeper.
    #[getter]
    fn engine(&self) -> &'static str {
        match self.handle.engine() {
            Choice::Keeper => "keeper",
            Choice::Inside | Choice::Auto => "inside",
        }
    }

    /// For SQLAlchemy, Django and their like: "sqlite:////srv/app.db".
    #[getter]
    fn url(&self) -> String {
        format!("sqlite:///{}", &*self.path)
    }

    /// Name the present moment, to go there with `rewind` as often as you like. Takes no copy of anything.
    ///
    /// With `pin` everything that the mark needs stays in the store until the mark is dropped, whatever its age.
    ///
    /// Marks outlast the process. MarkExistsError if there is one of that name (`drop` it first), InvalidArgumentError
    /// if it reads as a time ("5 minutes ago"), StoreFullError if recording has stopped. In a rollback mode, after
    /// somebody wrote unrecorded, earlier marks are lost from then on, and this is the first of a new history.
    ///
    /// >>> seeded = db.mark("seeded")
    /// >>> db.rewind(seeded)  # or db.rewind("seeded")
    #[pyo3(signature = (name, *, pin=false))]
    pub(crate) fn mark(&self, py: Python<'_>, name: &str, pin: bool) -> PyResult<PyMark> {
        self.warn(py)?;
        let mark = self.run(py, |handle| if pin { handle.mark_pinned(name) } else { handle.mark(name) })?;
        Ok(PyMark::of(&self.path, mark))
    }

    /// How far back the history reaches, what the store takes in bytes, and how its marks do: see `Status`.
    ///
    /// >>> db.status().window, db.status().used
    fn status(&self, py: Python<'_>) -> PyResult<PyStatus> {
        Ok(PyStatus::of(&self.path, self.run(py, Handle::status)?))
    }

    /// All marks, oldest first. The `state` of each says whether, and at what cost, a rewind to it works now.
    ///
    /// >>> [mark.name for mark in db.marks() if mark.state not in ("lost", "evicted")]
    fn marks(&self, py: Python<'_>) -> PyResult<Vec<PyMark>> {
        let marks = self.run(py, Handle::marks)?;
        Ok(marks.into_iter().map(|mark| PyMark::of(&self.path, mark)).collect())
    }

    /// Forget a mark, given as such or by its name, which is free then. The history stays.
    ///
    /// MarkNotFoundError if there is none, or if the name is another moment's by now.
    #[pyo3(name = "drop")]
    fn forget(&self, py: Python<'_>, mark: &Bound<'_, PyAny>) -> PyResult<()> {
        match arguments::mark(mark, &self.path)? {
            (name, None) => self.drop_mark(py, &name),
            (name, Some(lsn)) => {
                let marks = self.run(py, Handle::marks)?;
                if marks.iter().any(|mark| mark.name == name && mark.lsn == lsn) {
                    return self.drop_mark(py, &name);
                }
                let text = format!("there is no mark named {name:?} at LSN {lsn} any more");
                Err(with_code(py, Code::MarkNotFound, text))
            }
        }
    }

    /// Make the database what it was at `to`, in place. `to` may be earlier or later than now.
    ///
    /// `to`: a mark or its name, a moment (an Lsn), or a time: an aware datetime, "5 minutes ago", "1h 30m ago",
    /// "2026-11-22T07:48:00Z"; None is the newest mark. A time means the newest moment at or before it that can be gone
    /// to; the result's `time` says when that was. In WAL mode every commit is one; in a rollback mode marks and both
    /// ends of rewinds are, and each commit only with `open(moments="commits")`.
    ///
    /// `timeout`: seconds to wait for others' transactions, instead of that of `open`. `use_earliest`: go to the
    /// earliest moment that can be reached if `to` lies before it, instead of BeforeWindowError, or MarkLostError for a
    /// mark.
    ///
    /// >>> done = db.rewind("seeded")
    /// >>> db.rewind(done.undo)  # and back
    /// >>> db.rewind("5 minutes ago", timeout=1)
    ///
    /// Every connection, in any process, stays open and sees the state at `to` in its next transaction. The rewind is
    /// recorded too: `rewind(result.undo)` takes it back. After an error the database is as it was before, unless
    /// the text says that the rewind took effect, or may have: the disk or the store failed at the very end then. If
    /// that leaves a gap in the history, recording has stopped, and every later call says so until it is opened anew.
    ///
    /// Errors: MarkNotFoundError, MarkLostError, BeforeWindowError, BusyError, NotAttachedError (somebody wrote
    /// unrecorded), StoreFullError, InvalidArgumentError (no such time, or a moment of another database),
    /// UnsupportedError, StoreDamagedError.
    #[pyo3(signature = (to=None, *, timeout=None, use_earliest=false))]
    fn rewind(
        &self,
        py: Python<'_>,
        to: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        use_earliest: bool,
    ) -> PyResult<PyRewound> {
        let target = self.target_or_newest(py, to)?;
        let timeout = timeout.map(|given| seconds(py, given)).transpose()?;
        let done = self.go(py, &target, RewindOptions { timeout, use_earliest })?;
        let mark = to.and_then(|to| to.cast::<PyMark>().ok()).map(|mark| mark.get().called().to_owned());
        let named = if let Target::Name(name) = target { Some(name) } else { mark };
        self.tell(py, &done, named.as_deref().unwrap_or_default())?;
        Ok(done)
    }

    /// For a `with` block: what is written inside is rewound at its end, whether it succeeds or raises.
    ///
    /// >>> with db.rewound():
    /// ...     app.execute("DELETE FROM users")
    /// ...     app.commit()
    ///
    /// Everything that anybody has committed meanwhile is taken back, and BusyError tells of a transaction left open.
    fn rewound(slf: &Bound<'_, Self>) -> PyScope {
        PyScope::of(slf.clone().unbind())
    }

    /// The database as it was at `to`, beside the live one: `sqlite3.connect(db.at("seeded").uri, uri=True)`.
    ///
    /// Nothing is copied, nothing moves, nobody waits. What such a connection reads stays the same whatever is written
    /// or rewound meanwhile, until this recording is closed: then its reads fail. SQLite calls that "disk I/O error";
    /// the result's `failure` says why. A live connection can attach it, too: `ATTACH ? AS past`, if it was opened with
    /// `uri=True`.
    ///
    /// `to`: as for `rewind`. UnsupportedError where recording runs in the keeper: `clone` works there.
    fn at(&self, to: &Bound<'_, PyAny>) -> PyResult<PyAt> {
        let target = self.target(to)?;
        Ok(PyAt::of(&self.path, self.run(to.py(), |handle| handle.at(&target))?))
    }

    /// Copy the database as it was at `to` into a new file, a plain SQLite database, while others read and write.
    ///
    /// InvalidArgumentError if there is a file at `path`. The file has its name when it is complete and on disk; after
    /// an error or a kill there is none. Takes time for what the database holds, and no lock on it.
    #[pyo3(name = "clone")]
    fn clone_to(&self, to: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let target = self.target(to)?;
        let path = file_name("path", path)?;
        self.run(to.py(), |handle| handle.clone_to(&target, &path))
    }

    /// Which rows, parts of the schema and counters differ between two moments; `b` None: the present one.
    ///
    /// Costs what has changed, not what the tables hold, unless long values were overwritten in place (as-of.md). Rows
    /// of SQLite's own tables are left out; `sqlite_sequence` is among the counters.
    ///
    /// >>> db.diff("seeded").tables["users"].deleted
    #[pyo3(signature = (a, b=None))]
    fn diff(&self, a: &Bound<'_, PyAny>, b: Option<&Bound<'_, PyAny>>) -> PyResult<PyDiff> {
        let from = self.target(a)?;
        let to = b.map(|b| self.target(b)).transpose()?;
        Ok(PyDiff::of(&self.path, self.run(a.py(), |handle| handle.diff(&from, to.as_ref()))?))
    }

    /// Copy the database as it is now into a new file, to look at it later. See `clone`.
    fn keep(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = file_name("path", path)?;
        self.run(py, |handle| handle.clone_to(&Target::Lsn(handle.now()?), &path))
    }

    /// Which rows, parts of the schema and counters have changed since a moment; None: since the newest mark.
    ///
    /// What is committed counts, whoever wrote it. Costs what has changed.
    ///
    /// >>> db.mark("seeded")
    /// >>> print(db.changes())
    /// nothing differs
    #[pyo3(signature = (since=None))]
    fn changes(&self, py: Python<'_>, since: Option<&Bound<'_, PyAny>>) -> PyResult<PyDiff> {
        let since = self.target_or_newest(py, since)?;
        Ok(PyDiff::of(&self.path, self.run(py, |handle| handle.diff(&since, None))?))
    }

    /// Who has written what has changed since a moment; None: since the newest mark. What was rewound is left out.
    ///
    /// In a rollback mode each thread that has committed, who did last first, ended or not, with its process: those
    /// that write say so. In WAL mode nothing does; the pytest plugin looks who is connected while tests write, and
    /// then those other processes are listed that were seen right after such a commit, with `thread` None. Commits of
    /// which nothing is known are nobody's.
    ///
    /// >>> [writer.program for writer in db.writers("seeded")]
    #[pyo3(signature = (since=None))]
    fn writers(&self, py: Python<'_>, since: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<PyWriter>> {
        let since = self.target_or_newest(py, since)?;
        let writers = self.run(py, |handle| handle.writers(&since))?;
        Ok(writers.into_iter().map(PyWriter::of).collect())
    }

    /// Whether anything was committed since `to` (as for `rewind`). Takes the same time for any change.
    ///
    /// >>> db.rewind("seeded")
    /// >>> db.dirty_since("seeded")
    /// False
    fn dirty_since(&self, to: &Bound<'_, PyAny>) -> PyResult<bool> {
        let target = self.target(to)?;
        self.run(to.py(), |handle| handle.dirty_since(&target))
    }

    /// The present moment, the newest commit or rewind, to be given to `rewind`, `diff` and their like.
    ///
    /// NotAttachedError if somebody wrote unrecorded since.
    fn now(&self, py: Python<'_>) -> PyResult<PyLsn> {
        Ok(PyLsn::of(&self.path, self.run(py, Handle::now)?))
    }

    /// xxh3-128 of every page in hex, but for the bytes that move forward (format.md, "Bytes that move forward").
    ///
    /// Equal digests mean equal databases. Reads the whole file.
    fn digest(&self, py: Python<'_>) -> PyResult<String> {
        let digest = self.run(py, Handle::digest)?;
        let mut text = String::with_capacity(2 * digest.len());
        for byte in digest {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    /// Stop recording. Marks stay valid until somebody writes unrecorded. Closing twice is allowed.
    ///
    /// The handle is closed after an error, too: StoreFullError says then that the last commits, or all since the store
    /// was full, were not recorded.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_lent(py, None)?;
        // Relaxed: the interpreter lock orders it.
        self.closed.store(true, Ordering::Relaxed);
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

    /// For the pytest plugin: from now on refuse to close this handle and to drop these marks; `None`: no longer.
    #[pyo3(signature = (marks, /))]
    fn _hold(&self, marks: Option<Vec<String>>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = marks;
    }

    /// For the pytest plugin: where the database stands, its newest moment and a number that changes with its marks, if its state is
    /// that of the target; `None`: something was committed since.
    #[pyo3(signature = (to, /))]
    fn _position_at(&self, to: &Bound<'_, PyAny>) -> PyResult<Option<(u64, u64)>> {
        let target = self.target(to)?;
        let position = self.run(to.py(), |handle| handle.position_at(&target))?;
        Ok(position.map(|position| (position.lsn.get(), position.mark_changes)))
    }

    /// For the pytest plugin: whether it certainly still stands there.
    #[pyo3(signature = (moment, marks, /))]
    fn _is_at(&self, py: Python<'_>, moment: u64, marks: u64) -> PyResult<bool> {
        let position = Position { lsn: Lsn::new(moment), mark_changes: marks };
        self.run(py, |handle| handle.is_at(position))
    }

    /// The same, but for whether the file is in its place: for whoever has asked that just before.
    #[pyo3(signature = (moment, marks, /))]
    fn _glance(&self, py: Python<'_>, moment: u64, marks: u64) -> PyResult<bool> {
        let position = Position { lsn: Lsn::new(moment), mark_changes: marks };
        Ok(py.detach(|| self.handle.glance(position)) || self.run(py, |handle| handle.is_at(position))?)
    }

    /// The same, and nobody is in a transaction.
    #[pyo3(signature = (moment, marks, /))]
    fn _rests_at(&self, py: Python<'_>, moment: u64, marks: u64) -> PyResult<bool> {
        let position = Position { lsn: Lsn::new(moment), mark_changes: marks };
        self.run(py, |handle| handle.rests_at(position))
    }

    /// For the pytest plugin: look, in WAL mode, who has the database open while others write, for `writers`; or no longer.
    #[pyo3(signature = (on, /))]
    fn _remember_connected(&self, py: Python<'_>, on: bool) -> PyResult<()> {
        self.run(py, |handle| handle.remember_connected(on))
    }

    /// For the pytest plugin: what to call after a rewind through this handle, with the mark's name; `None`: nothing.
    #[pyo3(signature = (call, /))]
    fn _watch(&self, call: Option<Py<PyAny>>) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = call;
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(format!(
            "a Database is a recording of this process and cannot be pickled; give the other process the path, {:?}, \
             for dbrewind.open there",
            &*self.path
        )))
    }

    fn __repr__(&self) -> String {
        // Relaxed: the interpreter lock orders it.
        let closed = if self.closed.load(Ordering::Relaxed) { ", closed" } else { "" };
        format!("<Database {:?}, {}{closed}>", &*self.path, self.journal())
    }
}
