use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use dbrewind_core::{Lsn, Timestamp};

use super::{Hold, Origin, View};
use crate::engine::locked;
use crate::error::Error;
use crate::ffi::past_vfs;

/// A moment that can be read beside the live database, through an SQLite connection of its own.
///
/// Nothing is copied and nothing moves: pages come from the store, or from the database file where they have not changed
/// since. What is read stays the same whatever is written, rewound, checkpointed or vacuumed meanwhile, until the handle
/// it came from is closed: then a connection's reads fail with an I/O error.
///
/// ```
/// use dbrewind_sqlite::{Database, OpenOptions, SqliteApi};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.db");
/// # let app = rusqlite::Connection::open(&path)?;
/// # app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE users(id INTEGER PRIMARY KEY, name)")?;
/// # let db = Database::open(SqliteApi::bundled(), &path, &OpenOptions::default())?;
/// db.mark("empty")?;
/// app.execute("INSERT INTO users VALUES (7, 'Ann')", [])?;
///
/// let past = db.at(&"empty".into())?;
/// app.execute("ATTACH ?1 AS past", [past.uri()])?;
/// let users = "SELECT (SELECT count(*) FROM past.users), (SELECT count(*) FROM users)";
/// assert_eq!(app.query_row(users, [], |row| Ok((row.get(0)?, row.get(1)?)))?, (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct At {
    origin: Arc<Origin>,
    lsn: Lsn,
    time: Timestamp,
    uri: String,
    /// What was there when it was asked for stays as long as this is there.
    _hold: Hold,
}

impl At {
    /// Makes our VFS known, and the moment to it.
    pub(crate) fn new(origin: &Arc<Origin>, lsn: Lsn, time: Timestamp) -> Result<Self, Error> {
        let hold = origin.hold()?;
        {
            let history = origin.history()?;
            let mut history = locked(&history);
            history.see(lsn)?;
            // It may have been evicted since it was found.
            history.timeline.vantage(lsn).ok_or(Error::NoSuchMoment { lsn })?;
        }
        past_vfs::install(&origin.api).map_err(Error::vfs("register the VFS for past moments"))?;
        let number = origin.grant(lsn);
        let mut uri = "file:".to_owned();
        for byte in origin.path.as_os_str().as_bytes() {
            match byte {
                b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(*byte)),
                byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
                byte => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        let name = past_vfs::NAME.to_string_lossy();
        uri.push_str(&format!("@{lsn}.{number}?vfs={name}&mode=ro&immutable=1", lsn = lsn.get()));
        Ok(Self { origin: Arc::clone(origin), lsn, time, uri, _hold: hold })
    }

    /// What SQLite opens, with `SQLITE_OPEN_URI`, in this process and with the copy of SQLite that the handle was opened
    /// with: `file:/srv/app.db@1041.1?vfs=dbrewind-at&mode=ro&immutable=1`. It can be attached to a live connection, too.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The moment.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// When it was.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Why the newest read of a past moment that failed did so, if it was of this one: the application's own connection tells no
    /// more than a disk I/O error, or that the file cannot be opened.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.origin.told(self.lsn)
    }

    /// The hash of what the database held then, as [`Database::digest`](crate::Database::digest) gave it. Reads all of it.
    ///
    /// # Errors
    /// When it can no longer be told, or the recording is closed.
    pub fn digest(&self) -> Result<[u8; 16], Error> {
        View::open(&self.origin, self.lsn)?.digest()
    }
}
