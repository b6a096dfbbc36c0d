//! Other processes that have a file open, from Linux's `/proc`.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Another process.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What the system calls it, 15 characters at most.
    pub name: String,
    /// It does not run: by Ctrl-Z, SIGSTOP or a debugger.
    pub stopped: bool,
    /// Which of a store's locks it has at the moment, in words, if it is a store's file `locks` that it has open.
    pub holds: Vec<String>,
}

/// The other processes that have this file open, by their numbers, as far as this user may see that; of those that were stopped alone a look at
/// their files is taken, if `only_stopped`. `what_for`: what a locked byte of it is held for.
pub(crate) fn others_with(
    file: &Path,
    only_stopped: bool,
    what_for: impl Fn(u64) -> Option<&'static str>,
) -> Vec<Process> {
    let Ok(wanted) = fs::metadata(file) else { return Vec::new() };
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    let numbers = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Process> = numbers
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let stopped = is_stopped(pid);
            if only_stopped && !stopped {
                return None;
            }
            let mut holds: Vec<String> = locks_on(pid, &wanted)?
                .into_iter()
                .filter_map(|byte| what_for(byte).map(str::to_owned))
                .collect();
            holds.sort_unstable();
            holds.dedup();
            Some(Process { pid, name: name_of(pid), stopped, holds })
        })
        .collect();
    found.sort_unstable_by_key(|process| process.pid);
    found
}

/// The first bytes of the locks that a process has by its descriptors of this file; `None`: it does not have it open.
fn locks_on(pid: u32, wanted: &Metadata) -> Option<Vec<u64>> {
    let mut held = None;
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let same = |found: Metadata| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino());
        if fs::metadata(entry.path()).is_ok_and(same) {
            let number = entry.file_name();
            let told = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy()));
            held.get_or_insert_with(Vec::new).extend(locks_in(&told.unwrap_or_default()));
        }
    }
    held
}

/// `lock:  1: OFDLCK  ADVISORY  WRITE -1 fe:00:1234 2 2`: the last two are the first byte and the last one.
fn locks_in(told: &str) -> impl Iterator<Item = u64> {
    let ours = told.lines().filter(|line| line.starts_with("lock:") && line.contains("OFDLCK"));
    ours.filter_map(|line| line.split_whitespace().rev().nth(1)?.parse().ok())
}

/// Whether the system says `T` or `t` of it.
fn is_stopped(pid: u32) -> bool {
    let told = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may have brackets and blanks in it.
    let behind = told.iter().rposition(|byte| *byte == b')').and_then(|at| told.get(at + 2));
    matches!(behind, Some(b'T' | b't'))
}

fn name_of(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_found_in_what_the_kernel_tells() {
        let told = "pos:\t0\nflags:\t02100002\nlock:\t1: OFDLCK  ADVISORY  WRITE -1 fe:00:1234 3 3\n\
                    lock:\t2: POSIX  ADVISORY  WRITE 7 fe:00:1234 1 1\nlock:\t3: OFDLCK  ADVISORY  READ -1 fe:00:1234 4 4\n";
        assert_eq!(locks_in(told).collect::<Vec<_>>(), [3, 4]);
    }
}
