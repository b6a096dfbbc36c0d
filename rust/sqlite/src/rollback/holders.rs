//! Who holds a lock on a database file, or has it open, as far as the kernel tells.

use std::fs;
use std::path::Path;

use super::file_id::FileId;
use super::registry::HeldHere;

const PENDING: u64 = 0x4000_0000;
const RESERVED: u64 = PENDING + 1;
const SHARED: u64 = PENDING + 2;

/// In words, who keeps us from the lock. `None`: nobody is seen any more.
pub(crate) fn describe(file: FileId, here: HeldHere) -> Option<String> {
    let mut holders = Vec::new();
    let level = |level| match level {
        1 => "is reading",
        2 => "has an open write transaction",
        _ => "is writing",
    };
    if here.mine > 0 {
        holders.push(format!("a connection of this thread {}", level(here.mine)));
    }
    if here.others > 0 {
        holders.push(format!("another connection of this process {}", level(here.others)));
    }
    holders
        .extend(fs::read_to_string("/proc/locks").map(|locks| elsewhere(&locks, file)).unwrap_or_default());
    (!holders.is_empty()).then(|| holders.join(", "))
}

/// The other processes in the kernel's list of locks.
fn elsewhere(locks: &str, file: FileId) -> Vec<String> {
    let me = std::process::id();
    let mut found: Vec<(u32, &str)> = Vec::new();
    for line in locks.lines() {
        let Some((pid, what)) = parse(line, file) else { continue };
        if pid == me {
            continue;
        }
        match found.iter_mut().find(|(known, _)| *known == pid) {
            Some((_, known)) if *known == "is reading" => *known = what,
            Some(_) => {}
            None => found.push((pid, what)),
        }
    }
    found.iter().map(|(pid, what)| format!("process {pid}{} {what}", program(*pid))).collect()
}

/// One line of `/proc/locks`: `7: POSIX  ADVISORY  WRITE 4711 fd:01:9876 1073741825 1073741825`.
fn parse(line: &str, file: FileId) -> Option<(u32, &'static str)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    // A waiter has an arrow here; it holds nothing.
    if fields.next()? != "POSIX" {
        return None;
    }
    let write = fields.nth(1)? == "WRITE";
    let pid = fields.next()?.parse().ok()?;
    let mut place = fields.next()?.split(':');
    let (major, minor) =
        (u64::from_str_radix(place.next()?, 16).ok()?, u64::from_str_radix(place.next()?, 16).ok()?);
    let inode: u64 = place.next()?.parse().ok()?;
    let start: u64 = fields.next()?.parse().ok()?;
    let device = file.device;
    let same_device = (device >> 8 & 0xfff | device >> 32 & !0xfff, device & 0xff | device >> 12 & !0xff);
    // Some file systems show another device than `stat` does; there the inode has to do.
    if inode != file.inode || (same_device != (major, minor) && major != 0) {
        return None;
    }
    let what = match start {
        SHARED if write => "is writing",
        SHARED => "is reading",
        PENDING => "waits to write",
        RESERVED => "has an open write transaction",
        _ => return None,
    };
    Some((pid, what))
}

fn program(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim().is_empty() { String::new() } else { format!(" ({})", name.trim()) }
}

/// The other processes that have the file open, in words. Only those are seen that we may look into.
pub(crate) fn open_elsewhere(file: FileId) -> Option<String> {
    let me = std::process::id();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid != me && descriptors(&process.path(), file) > 0 {
            found.push(format!("process {pid}{}", program(pid)));
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}

/// How many descriptors of this process are open on the file.
pub(crate) fn open_here(file: FileId) -> usize {
    descriptors(Path::new("/proc/self"), file)
}

fn descriptors(process: &Path, file: FileId) -> usize {
    let Ok(entries) = fs::read_dir(process.join("fd")) else { return 0 };
    // `stat` through the link: opening the database here would cost SQLite its locks.
    entries.flatten().filter(|entry| FileId::of(&entry.path()).is_ok_and(|found| found == file)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId { device: 0xfd01, inode: 9876 };

    #[test]
    fn lines_of_the_kernel_are_understood() {
        let line = |kind, at: u64| format!("7: POSIX  ADVISORY  {kind} 4711 fd:01:9876 {at} {at}");
        assert_eq!(parse(&line("WRITE", RESERVED), FILE), Some((4711, "has an open write transaction")));
        assert_eq!(parse(&line("READ ", SHARED), FILE), Some((4711, "is reading")));
        assert_eq!(parse(&line("WRITE", SHARED), FILE), Some((4711, "is writing")));
        assert_eq!(parse(&line("WRITE", 5), FILE), None);
        assert_eq!(parse("7: -> POSIX ADVISORY WRITE 4711 fd:01:9876 1073741825 1073741825", FILE), None);
        assert_eq!(parse("1: FLOCK  ADVISORY  WRITE 1 fd:01:9876 0 EOF", FILE), None);
        assert_eq!(parse("8: POSIX  ADVISORY  READ 4711 fd:01:9877 1073741826 1073742335", FILE), None);
    }

    #[test]
    fn the_strongest_lock_of_a_process_is_told() {
        let locks = "1: POSIX ADVISORY READ 4711 fd:01:9876 1073741826 1073742335\n\
                     2: POSIX ADVISORY WRITE 4711 fd:01:9876 1073741825 1073741825\n";
        let told = elsewhere(locks, FILE);
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with("has an open write transaction"), "{told:?}");
    }
}
