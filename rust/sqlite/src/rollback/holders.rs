//! Who holds a lock on a database file, or has it open, as far as the kernel tells.

use std::fs;
use std::path::Path;

use super::registry::{self, HeldHere};
use crate::file::FileId;
use crate::kernel_locks::{self, HeldLock};

const PENDING: u64 = 0x4000_0000;
const RESERVED: u64 = PENDING + 1;
const SHARED: u64 = PENDING + 2;

/// What is in the way of a lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Doing {
    /// Readers keep nobody but the one who is about to write.
    Reading,
    /// Will write. Keeps other writers out.
    InATransaction,
    /// Keeps everybody out.
    Writing,
}

impl Doing {
    /// Of a lock level of SQLite above 0.
    pub(super) fn of_level(level: i32) -> Self {
        match level {
            ..=1 => Self::Reading,
            2 => Self::InATransaction,
            _ => Self::Writing,
        }
    }

    fn of_lock(lock: &HeldLock) -> Option<Self> {
        match lock.bytes.0 {
            SHARED if lock.write => Some(Self::Writing),
            SHARED => Some(Self::Reading),
            RESERVED => Some(Self::InATransaction),
            PENDING => Some(Self::Writing),
            _ => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Reading => "is reading",
            Self::InATransaction => "has an open write transaction",
            Self::Writing => "is writing",
        }
    }
}

/// In words, who holds a lock on the file. `None`: nobody is seen any more.
///
/// `wanted`: the least that keeps us from our lock, if that is known. When nobody is seen who does as much, it must be
/// a connection of this process that is not in the registry, if there is one: the kernel does not tell its locks
/// from ours.
pub(crate) fn describe(file: FileId, here: HeldHere, wanted: Option<Doing>) -> Option<String> {
    let mut holders = Vec::new();
    let mut most = None;
    for (mine, level, statement) in registry::holding(file) {
        let who = if mine { "a connection of this thread" } else { "another connection of this process" };
        let doing = Doing::of_level(level);
        most = most.max(Some(doing));
        let statement = statement.map(|text| format!(" (statement: {text})")).unwrap_or_default();
        let text = format!("{who} {}{statement}", doing.words());
        if !holders.contains(&text) {
            holders.push(text);
        }
    }
    let me = std::process::id();
    let does_it = |lock: &HeldLock| lock.pid != me && Doing::of_lock(lock) >= wanted.or(Some(Doing::Reading));
    let known = most.is_some() && most >= wanted;
    let locks = kernel_locks::on(file, |found| known || found.iter().any(does_it));
    for (pid, doing) in strongest(&locks).into_iter().filter(|(pid, _)| *pid != me) {
        most = most.max(Some(doing));
        holders.push(format!("process {pid}{} {}", kernel_locks::program(pid), doing.words()));
    }
    // Who has an open write transaction may hold PENDING since a commit of it that met readers, which the shim is not told.
    let enough = |wanted: Doing| wanted.min(Doing::InATransaction);
    if let Some(wanted) = wanted.filter(|wanted| most.is_none_or(|most| most < enough(*wanted)))
        && has_unknown(file, here)
    {
        holders.push(format!("a connection of this process from before the recording {}", wanted.words()));
    }
    (!holders.is_empty()).then(|| holders.join(", "))
}

/// As [`describe`], for the file at a path.
pub(crate) fn in_the_way(path: &Path, wanted: Doing) -> Option<String> {
    let file = FileId::of(path).ok()?;
    describe(file, registry::held_here(file), Some(wanted))
}

/// Whether this process has the file at a path open.
pub(crate) fn is_open_here(path: &Path) -> bool {
    FileId::of(path).is_ok_and(|file| open_here(file) > 0)
}

/// Who has the file at a path open, in words. `here`: whether this process is to be named.
pub(crate) fn open_by(path: &Path, here: bool) -> Option<String> {
    let file = FileId::of(path).ok()?;
    let here = here.then(|| "this process".to_owned());
    let found: Vec<String> = here.into_iter().chain(open_elsewhere(file)).collect();
    (!found.is_empty()).then(|| format!("it is open in {}", found.join(", ")))
}

/// Whether this process has the file open besides our own handles and the connections through the shim.
fn has_unknown(file: FileId, here: HeldHere) -> bool {
    // One that is about to begin recording has the file open, and is not counted yet.
    let ours = registry::handles(file).max(1);
    open_here(file) > here.connections + ours
}

/// Each process once, with the most that it does.
fn strongest(locks: &[HeldLock]) -> Vec<(u32, Doing)> {
    let mut found: Vec<(u32, Doing)> = Vec::new();
    for lock in locks {
        let Some(doing) = Doing::of_lock(lock) else { continue };
        match found.iter_mut().find(|(known, _)| *known == lock.pid) {
            Some((_, known)) => *known = doing.max(*known),
            None => found.push((lock.pid, doing)),
        }
    }
    found
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
            found.push(format!("process {pid}{}", kernel_locks::program(pid)));
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
