//! By which way what is written gets into the history, and which SQLite that takes: whether one was reached, and where it is.

use std::path::{Path, PathBuf};

use dbrewind_sqlite::{Code, JournalMode, SqliteApi};
use serde::Serialize;

use super::{Problem, User};
use crate::host::{Host, HostSqlite};
use crate::preload;
use crate::processes::{self, Process, Sqlite};
use crate::show;

/// How this database is recorded, or would be.
#[derive(Serialize)]
pub(super) struct Route {
    /// How it is recorded now: `wal`, by reading what anybody writes to the WAL; `vfs`, by our VFS in the SQLite that writes. `None`: nobody
    /// records.
    route: Option<&'static str>,
    /// The SQLite of this process.
    sqlite: OwnSqlite,
    /// What `run` would load into a program in a rollback mode, if it is there.
    preload: Option<String>,
    #[serde(skip)]
    journal: JournalMode,
    #[serde(skip)]
    by: Vec<String>,
}

/// The SQLite that this process would record with.
#[derive(Serialize)]
struct OwnSqlite {
    /// Whose: of Python, or of the command.
    of: String,
    version: Option<String>,
    /// The file that it is in.
    library: Option<String>,
    /// Whether it offers what it takes to record what it writes.
    reached: bool,
    /// Why not.
    why: Option<String>,
    /// The command has it inside.
    #[serde(skip)]
    inside: bool,
}

impl OwnSqlite {
    fn of(host: Host<'_>) -> Self {
        let file = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        let library = |api: &SqliteApi| file(processes::file_at(api.identity()));
        let Some(HostSqlite { of, version, file: named, reached }) = host.sqlite.map(|find| find()) else {
            let api = SqliteApi::bundled();
            let (library, version) = (library(&api), Some(version_of(&api)));
            return Self {
                of: "dbrewind".to_owned(),
                version,
                library,
                reached: true,
                why: None,
                inside: true,
            };
        };
        match reached {
            Ok(api) => Self {
                of,
                version: Some(version_of(&api)),
                library: library(&api),
                reached: true,
                why: None,
                inside: false,
            },
            Err(why) => {
                Self { of, version, library: file(named), reached: false, why: Some(why), inside: false }
            }
        }
    }

    fn told(&self, journal: JournalMode) -> String {
        let version = self.version.as_deref().unwrap_or("none");
        if self.inside {
            return format!("{version}, inside this command");
        }
        let place = self.library.as_deref().unwrap_or("a file that is not known");
        match (&self.why, journal) {
            (None, _) => format!("{version} of {}, reached: {place}", self.of),
            (Some(why), JournalMode::Wal) => {
                format!(
                    "{version} of {}, not reached ({why}): dbrewind.open() records by its keeper process",
                    self.of
                )
            }
            (Some(why), JournalMode::Rollback) => format!("{version} of {}, not reached ({why})", self.of),
        }
    }
}

impl Route {
    pub(super) fn of(journal: JournalMode, users: &[User], host: Host<'_>) -> Self {
        let by: Vec<_> = users.iter().filter(|user| user.records).map(|user| shown(user, journal)).collect();
        let kind = match journal {
            JournalMode::Wal => "wal",
            JournalMode::Rollback => "vfs",
        };
        Self {
            route: (!by.is_empty()).then_some(kind),
            sqlite: OwnSqlite::of(host),
            preload: preload::library(host.beside).map(|path| path.display().to_string()),
            journal,
            by,
        }
    }

    /// What keeps this process, or a connection of that name, from recording what it writes.
    pub(super) fn problems(&self, path: &Path, vfs: Option<&str>) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.journal == JournalMode::Wal {
            // Of the system's VFSes the only one that has a WAL without an index in shared memory.
            if vfs == Some("unix-excl") {
                problems.push(Problem {
                    code: Code::Busy.text(),
                    text: format!(
                        "a connection with this URI keeps {} to itself: with the VFS \"unix-excl\" nobody else can read its WAL, so nobody can \
                         record it, and where somebody does it is refused",
                        path.display()
                    ),
                    fix: "leave `vfs=` out of it".to_owned(),
                });
            }
            return problems;
        }
        let word = show::word(path);
        let mode = format!("{} is in a rollback journal mode", path.display());
        if let Some(why) = &self.sqlite.why {
            problems.push(Problem {
                code: Code::Unreachable.text(),
                text: format!("what {} writes cannot be recorded: {why}, and {mode}", self.sqlite.of),
                fix: format!("take the database to WAL mode: `dbrewind watch {word} --journal wal`"),
            });
        }
        if let Some(vfs) = vfs.filter(|vfs| *vfs != "dbrewind") {
            problems.push(Problem {
                code: Code::NotAttached.text(),
                text: format!(
                    "what a connection with this URI writes is not recorded: it names the VFS {vfs:?}, and {mode}"
                ),
                fix: "leave `vfs=` out of it, or say `vfs=dbrewind`".to_owned(),
            });
        }
        problems
    }

    /// The lines of it.
    pub(super) fn lines(&self, path: &Path) -> Vec<String> {
        let word = show::word(path);
        let by = self.by.join(", ");
        let wal = "the WAL is read, nothing is put into programs";
        let vfs = "dbrewind's VFS, in the SQLite of each program that writes";
        let route = match (self.journal, self.route) {
            (JournalMode::Wal, Some(_)) => format!("{wal}: by {by}"),
            (JournalMode::Wal, None) => {
                format!(
                    "none, nobody records. `dbrewind watch {word}` would, and dbrewind.open() in Python: {wal}"
                )
            }
            (JournalMode::Rollback, Some(_)) => {
                format!(
                    "{vfs}: {by}. No other program's writes are: start it by `dbrewind run {word} -- PROGRAM`"
                )
            }
            (JournalMode::Rollback, None) => format!(
                "none, nobody records. `dbrewind run {word} -- PROGRAM` would, and dbrewind.open() in Python: {vfs}"
            ),
        };
        let mut lines =
            vec![format!("route     {route}"), format!("sqlite    {}", self.sqlite.told(self.journal))];
        if self.journal == JournalMode::Rollback {
            lines.push(match &self.preload {
                Some(library) => format!("preload   {library}, which `dbrewind run` loads into programs"),
                None => format!(
                    "preload   `dbrewind run` finds no {} to load into programs; DBREWIND_PRELOAD names one",
                    preload::NAME
                ),
            });
        }
        lines.iter().map(|line| show::plain(line)).collect()
    }
}

/// A process that records, in a rollback mode with the SQLite that it does it in.
fn shown(user: &User, journal: JournalMode) -> String {
    let process = Process::shown(&user.process);
    if journal == JournalMode::Wal {
        return process;
    }
    let named = |copy: &&Sqlite| copy.shown().starts_with("libsqlite3");
    match user.sqlite.iter().find(named) {
        Some(copy) => format!("{process}, {}", copy.library),
        // Its own, or one that only a module of Python is linked with.
        None => process,
    }
}

/// `3.40.1` of 3040001.
fn version_of(api: &SqliteApi) -> String {
    let number = api.version();
    format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
}
