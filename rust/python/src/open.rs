use dbrewind_keeper::{Choice, Handle};
use dbrewind_sqlite::{Journal, Moments, OpenOptions, Synchronous};
use pyo3::prelude::*;

use crate::arguments::{bytes, file_name, not_one_of, seconds, span};
use crate::database::PyDatabase;
use crate::signals::detached;
use crate::{host, keeper};

/// Attach to a database file and record it from now on, until `close`.
///
/// >>> db = dbrewind.open("app.db")  # before, or while, others have it open
/// >>> app = sqlite3.connect("app.db")
/// >>> db.mark("seeded")
///
/// In a rollback mode (DELETE and its like) connections that were opened before are not recorded; in WAL mode all are.
///
/// The store, a folder that holds the history, is made beside the file (`app.db-rewind/`) or at `store`. Marks made
/// earlier are found again if nothing was written to the database meanwhile; otherwise they are listed as lost.
///
/// - `timeout`: seconds that each call waits for other connections' transactions before `BusyError`.
/// - `synchronous`: whether the store and a rewind outlast a power cut: as SQLite's pragma of that name.
///   A killed process never loses anything, whatever it is.
/// - `journal="wal"` or `"delete"`: switch the database to that mode, marks stay; `"delete"` needs every other
///   connection closed. None leaves it as it is.
/// - `default_vfs`: for a database in a rollback mode: connections that this process opens from now on by plain path
///   are recorded. With False only those opened with `?vfs=dbrewind` are.
/// - `engine`: "inside" records with this process's own SQLite, "keeper" in a helper process (WAL mode only), "auto"
///   prefers the first.
/// - `limit`: the most bytes that the store may have, at least 1 MiB. It belongs to the store: it holds for everybody
///   who records into it, now and later, until somebody opens it with another one. None leaves it as it is, 16 GiB in a
///   new store. What is oldest is evicted to make room; if pinned marks need all of it, the store records no more
///   (StoreFullError) and the application goes on. A full store is opened, too: `status`, `marks` and `drop` need no
///   room, and what was kept by marks that are dropped makes some.
/// - `window`: how far back the store shall reach, a timedelta or seconds, at least 1 s. It belongs to the store, as
///   the limit does. What is older is evicted. None leaves it as it is, 72 hours in a new store.
/// - `seal`: rewrite the full parts of the store in the background, so that they take a fraction of the room: a thread
///   of the lowest priority, which rests while anybody writes. A rewind to what was rewritten takes a little longer.
/// - `moments`: for a database in a rollback mode: `rewind` reaches "marks", which are marks and both ends of each
///   rewind, or each of its "commits", as always in WAL mode; that saves a changed page again in every transaction. It
///   belongs to the store, as `limit` does; "marks" in a new one.
///
/// Errors: FileMissingError, NotADatabaseError, NotWritableError, UnreachableError, TwoSqlitesError, UnsupportedError,
/// StoreDamagedError, StoreVersionError, StoreFullError, InvalidArgumentError, BusyError, KeeperFailedError.
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
    limit: Option<&Bound<'py, PyAny>>,
    window: Option<&Bound<'py, PyAny>>,
    seal: bool,
    moments: Option<&str>,
) -> PyResult<Bound<'py, PyDatabase>> {
    let path = file_name("path", path)?;
    let options = OpenOptions {
        store: store.map(|store| file_name("store", store)).transpose()?,
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
        limit: limit.map(bytes).transpose()?,
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
