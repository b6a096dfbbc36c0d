//! Which other processes have a file open, as far as this user may see that.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

/// Another process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// What the system calls it, 15 characters at most.
    pub(crate) name: String,
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
        .filter(|pid| *pid != own && has_open(*pid, &wanted))
        .map(|pid| Process { pid, name: name_of(pid) })
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

fn has_open(pid: u32, wanted: &std::fs::Metadata) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| {
        std::fs::metadata(entry.path())
            .is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()))
    })
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
