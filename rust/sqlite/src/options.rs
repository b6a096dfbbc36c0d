use std::path::PathBuf;
use std::time::Duration;

use dbrewind_core::Clock;

/// Which journal mode the database shall have while it is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Journal {
    /// Set `journal_mode=WAL` at open, if the database has another mode: marks cost nothing then.
    Wal,
    /// Set `journal_mode=DELETE` at open, if the database is in WAL mode. Possible while nobody else has it open.
    Delete,
}

/// Which moments of a database can be reached. In WAL mode each commit and each rewind can, whatever this says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Moments {
    /// Marks, both ends of each rewind, and the beginning of the recording: a page is saved when it is changed for the first
    /// time after one of them.
    #[default]
    Marks,
    /// Each commit as well: a page is saved whenever a transaction changes it.
    Commits,
}

/// How much of the recording survives a power cut. Killed processes never lose anything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Synchronous {
    /// Nothing waits for the disk. For databases that are thrown away after the test.
    Off,
    /// Synced before database pages are overwritten: the database stays whole, the newest commits may go.
    #[default]
    Normal,
    /// A rewind is durable when it returns.
    Full,
}

/// How a database is opened for recording. Start from `OpenOptions::default()`.
///
/// ```
/// use std::time::Duration;
/// let options = dbrewind_sqlite::OpenOptions { timeout: Duration::from_secs(1), ..Default::default() };
/// assert_eq!(options.store, None);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenOptions {
    /// The store's folder. `None`: `<database>-rewind` beside the database.
    pub store: Option<PathBuf>,
    /// How long a call waits for a lock that somebody else holds. Default 5 s.
    pub timeout: Duration,
    /// What is synced. Default [`Synchronous::Normal`].
    pub synchronous: Synchronous,
    /// Rollback modes: whether our VFS becomes the default one, so that connections opened from now on are
    /// recorded without naming it. Default `true`.
    pub default_vfs: bool,
    /// The journal mode to set at open. Default `None`: the database keeps its own.
    pub journal: Option<Journal>,
    /// WAL mode: when the `-wal` file is larger than this (bytes), our checkpoint also passes the frames of
    /// hot marks, which are archived by that. Default 64 MiB.
    pub wal_limit: u64,
    /// Limit of the whole store, in bytes, at least 1 MiB. It is the store's: it holds for all who record into it, now and
    /// later, until somebody opens it with another one. Default `None`: it stays as it is, 16 GiB in a new store.
    pub limit: Option<u64>,
    /// How far back the store shall reach, in whole seconds, at least 1 s. It is the store's, as the limit is. What is older is evicted, and so
    /// is what there is no room for, oldest first, but for what pinned marks need. Default `None`: it stays as it is, 72 h in a new store.
    pub window: Option<Duration>,
    /// Whether segments of the store that are full are rewritten in the background: the history takes a fraction of the
    /// room, and a rewind to what lies in them a little longer. By a thread of the lowest priority that rests while anybody
    /// writes. Default `true`.
    pub seal: bool,
    /// Rollback modes: which moments can be reached. It is the store's, as `limit` is. Default `None`: as it is,
    /// [`Moments::Marks`] in a new store.
    pub moments: Option<Moments>,
    /// What the times of commits and rewinds are read from. Default [`Clock::System`].
    pub clock: Clock,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            store: None,
            timeout: Duration::from_secs(5),
            synchronous: Synchronous::default(),
            default_vfs: true,
            journal: None,
            wal_limit: 64 * 1024 * 1024,
            limit: None,
            window: None,
            seal: true,
            moments: None,
            clock: Clock::System,
        }
    }
}
