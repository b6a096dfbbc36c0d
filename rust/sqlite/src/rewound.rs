use dbrewind_core::{Lsn, Timestamp};

use crate::database::Position;

/// How a rewind was done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// The end of the WAL was moved: the same time for any change.
    Moved,
    /// The pages that differ were written.
    Written,
    /// The database was in the target's state already.
    Nothing,
}

/// What a rewind did.
///
/// ```
/// use dbrewind_sqlite::{Database, Method, OpenOptions, SqliteApi};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.db");
/// # let app = rusqlite::Connection::open(&path)?;
/// # app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE users(id INTEGER PRIMARY KEY, name)")?;
/// # let db = Database::open(SqliteApi::bundled(), &path, &OpenOptions::default())?;
/// let mark = db.mark("seeded")?;
/// app.execute("INSERT INTO users VALUES (7, 'Ann')", [])?;
/// let rewound = db.rewind(&"seeded".into(), None)?;
/// assert_eq!((rewound.to, rewound.method), (mark.lsn, Method::Moved));
/// assert_eq!(db.rewind(&"seeded".into(), None)?.method, Method::Nothing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Rewound {
    /// The moment whose state the database has now.
    pub to: Lsn,
    /// When that moment was the newest one for the first time (`rust/docs/time.md`).
    pub time: Timestamp,
    /// The moment just before the rewind: rewinding to it takes this rewind back.
    pub undo: Lsn,
    /// Pages that were written.
    pub pages: u64,
    /// How long the call took, in seconds.
    pub seconds: f64,
    /// How it was done.
    pub method: Method,
    /// Where it has led, as [`Database::position_at`](crate::Database::position_at) would say right after it. `None` where that has to be
    /// asked: somebody has committed since, or the recording is a keeper's.
    pub position: Option<Position>,
}
