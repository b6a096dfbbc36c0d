//! Which other processes have a file open, as far as this user may see that, and what SQLite is in them.

use std::path::{Path, PathBuf};

use dbrewind_sqlite::{processes_at, processes_with};
use serde::Serialize;

/// Another process, as JSON has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// What the system calls it, 15 characters at most.
    pub(crate) name: String,
    /// It does not run: by Ctrl-Z, SIGSTOP or a debugger.
    pub(crate) stopped: bool,
    /// Which of the history's locks it has at the moment, in words; of a process that only reads the database none.
    pub(crate) holds: Vec<String>,
}

impl From<dbrewind_sqlite::Process> for Process {
    fn from(found: dbrewind_sqlite::Process) -> Self {
        let dbrewind_sqlite::Process { pid, name, stopped, holds } = found;
        Self { pid, name, stopped, holds }
    }
}

impl Process {
    /// `4711 (python3)`.
    pub(crate) fn shown(&self) -> String {
        format!("{} ({})", self.pid, self.name)
    }
}

/// The other processes that have this file open. Those of other users are left out unless this one may look.
pub(crate) fn holding(file: &Path) -> Vec<Process> {
    processes_with(file).into_iter().map(Process::from).collect()
}

/// The processes that have a store open: those that record into it, or may at any moment.
pub(crate) fn recording_into(store: &Path) -> Vec<Process> {
    processes_at(store).into_iter().map(Process::from).collect()
}

/// A library in a process that has SQLite in it, by its name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Sqlite {
    /// Its file.
    pub(crate) library: String,
}

impl Sqlite {
    pub(crate) fn shown(&self) -> String {
        let name = Path::new(&self.library).file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| self.library.clone())
    }
}

/// The file from which this process has what is at an address.
pub(crate) fn file_at(address: usize) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (begin, rest) = line.split_once('-')?;
        let (end, _) = rest.split_once(' ')?;
        let range = usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        let path = line.get(line.find('/')?..)?;
        range.contains(&address).then(|| PathBuf::from(path))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_in_its_file() {
        let here = code_is_found_in_its_file as fn() as usize;
        assert_eq!(file_at(here), std::env::current_exe().ok());
        assert_eq!(file_at(1), None);
    }
}
