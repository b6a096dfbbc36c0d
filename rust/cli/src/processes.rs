//! Which other processes have a file open, as far as this user may see that.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dbrewind_sqlite::what_lock_is_held_for;
use serde::Serialize;

/// Another process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// What the system calls it, 15 characters at most.
    pub(crate) name: String,
    /// It does not run: by Ctrl-Z, SIGSTOP or a debugger.
    pub(crate) stopped: bool,
    /// Which of the history's locks it has at the moment, in words; of a process that only reads the database none.
    pub(crate) holds: Vec<&'static str>,
}

impl Process {
    /// `4711 (python3)`.
    pub(crate) fn shown(&self) -> String {
        format!("{} ({})", self.pid, self.name)
    }
}

/// The other processes that have this file open. Those of other users are left out unless this one may look.
pub(crate) fn holding(file: &Path) -> Vec<Process> {
    let Ok(wanted) = std::fs::metadata(file) else { return Vec::new() };
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    let numbers = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Process> = numbers
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let holds = locks_on(pid, &wanted)?;
            Some(Process { pid, name: name_of(pid), stopped: is_stopped(pid), holds })
        })
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Which locks a process has by its descriptors of this file; `None`: it does not have it open.
fn locks_on(pid: u32, wanted: &std::fs::Metadata) -> Option<Vec<&'static str>> {
    let mut held = None;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let same = |found: std::fs::Metadata| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino());
        if std::fs::metadata(entry.path()).is_ok_and(same) {
            let number = entry.file_name();
            let told = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy()));
            held.get_or_insert_with(Vec::new).extend(locks_in(&told.unwrap_or_default()));
        }
    }
    if let Some(held) = &mut held {
        held.sort_unstable();
        held.dedup();
    }
    held
}

/// `lock:  1: OFDLCK  ADVISORY  WRITE -1 fe:00:1234 2 2`: the last two are the first byte and the last one.
fn locks_in(told: &str) -> impl Iterator<Item = &'static str> {
    let ours = told.lines().filter(|line| line.starts_with("lock:") && line.contains("OFDLCK"));
    let bytes = ours.filter_map(|line| line.split_whitespace().rev().nth(1)?.parse::<u64>().ok());
    bytes.filter_map(what_lock_is_held_for)
}

/// Whether the system says `T` or `t` of it.
fn is_stopped(pid: u32) -> bool {
    let told = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may have brackets and blanks in it.
    told.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['T', 't']))
}

fn name_of(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The processes that have a store open: those that record into it, or may at any moment.
pub(crate) fn recording_into(store: &Path) -> Vec<Process> {
    holding(&store.join("locks"))
}

/// A library in a process that has SQLite in it, by its name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Sqlite {
    /// Its file.
    library: String,
}

impl Sqlite {
    pub(crate) fn shown(&self) -> String {
        let name = Path::new(&self.library).file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| self.library.clone())
    }
}

/// The libraries called after SQLite, or after us, that a process has mapped. None: its SQLite is inside the program, or of a library with
/// another name.
pub(crate) fn sqlites_of(pid: u32) -> Vec<Sqlite> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found: Vec<Sqlite> = Vec::new();
    for path in maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..))) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let library = name.contains(".so") && (name.contains("sqlite3") || name.contains("dbrewind"));
        if library && !found.iter().any(|known| known.library == path) {
            found.push(Sqlite { library: path.to_owned() });
        }
    }
    found
}
