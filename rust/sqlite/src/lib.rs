//! `dbrewind` for SQLite: records what a database goes through and rewinds it in place.
//!
//! Links no SQLite: every call goes through the [`SqliteApi`] of the copy that the host uses.
//!
//! ```
//! use dbrewind_sqlite::{Database, OpenOptions, SqliteApi};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("app.db");
//! # rusqlite::Connection::open(&path)?.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE users(name)")?;
//! # let sqlite = SqliteApi::bundled();
//! // `sqlite`: the functions of the application's own SQLite, for instance SqliteApi::from_process()
//! let db = Database::open(sqlite, &path, &OpenOptions::default())?;
//! let app = rusqlite::Connection::open(&path)?;
//!
//! db.mark("empty")?;
//! app.execute("INSERT INTO users VALUES ('Ann')", [])?;
//!
//! let rewound = db.rewind(&"empty".into(), None)?; // in place: `app` stays open
//! assert_eq!(app.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0))?, 0);
//!
//! db.rewind(&rewound.undo.into(), None)?; // and forward again
//! assert_eq!(app.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0))?, 1);
//! db.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod as_of;
mod checksum;
mod counters;
mod database;
mod digest;
mod engine;
mod error;
mod exclusion;
mod fault;
mod ffi;
mod file;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handover;
mod in_flight;
mod journal_mode;
mod kernel_locks;
mod mark;
mod naming;
mod notes;
mod objects;
mod opening;
mod options;
mod other_names;
mod progress;
mod registers;
mod resolve;
mod rewound;
mod rollback;
mod slot;
mod store_folder;
mod switch;
mod sync;
mod wal;
mod writers;

pub use as_of::{Altered, At, CounterDiff, Diff, SchemaChange, TableDiff, Value};
pub use database::{Database, Position};
pub use dbrewind_core::{
    Clock, Code, Lsn, ManualClock, MarkCounts, MarkName, MarkNameError, MarkState, Patience, Pin, Process,
    Refused, RewindOptions, Status, Target, TargetError, Timestamp, WindowState, interruptible,
    lock_patiently, processes_at, processes_with,
};
pub use engine::JournalMode;
pub use error::{Error, SqliteCode};
pub use ffi::{ApiError, SqliteApi, extension_init, is_opening, join_recording};
pub use mark::Mark;
pub use naming::left_behind as store_left_behind;
pub use opening::refuse_without_file;
pub use options::{Journal, Moments, OpenOptions, Synchronous};
pub use progress::telling;
pub use rewound::{Method, Rewound};
pub use store_folder::beside as store_beside;
pub use writers::{Writer, program};
