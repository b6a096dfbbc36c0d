//! A file with several names (hard links): SQLite has a WAL and a wal-index for each name, so that two who use two of them at once do not
//! know of each other, and damage the database.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use dbrewind_core::Code;

use crate::error::Error;
use crate::file::FileId;
use crate::kernel_locks::{self, HeldLock};

/// SQLite's SHARED on a database file, which each connection in WAL mode keeps: the first of its bytes.
const SHARED: u64 = 0x4000_0002;
/// How often, and in which steps, it is looked again for who has just begun or is about to end: he has one of both for a moment.
const LOOKS: u32 = 10;
const STEP: Duration = Duration::from_millis(10);

/// Refuses a database in WAL mode whose file has several names, while another process has it open by another one. A name that nobody
/// uses, as `cp -l` leaves it, is no reason.
pub(crate) fn refuse_if_open_by_another(path: &Path) -> Result<(), Error> {
    let Ok(found) = std::fs::metadata(path) else { return Ok(()) };
    let names = found.nlink();
    if names < 2 {
        return Ok(());
    }
    let file = FileId::from(&found);
    match in_every_look(|known| by_another(path, file, known), || std::thread::sleep(STEP)) {
        Some(pid) => {
            let what = format!(
                "{} is one of {names} names of its file (hard links), and process {pid}{} has it open by another one: SQLite has a \
                 WAL for each name, so two at once damage the database; open it by one name, the same one everywhere",
                path.display(),
                kernel_locks::program(pid)
            );
            Err(Error::Unsupported { what })
        }
        None => Ok(()),
    }
}

/// Who is found by every look. Each but the first is told whom all before it found.
fn in_every_look(mut look: impl FnMut(&[u32]) -> Vec<u32>, pause: impl Fn()) -> Option<u32> {
    let mut found = look(&[]);
    // The kernel has no number for who is in another container: those would all be one.
    found.retain(|pid| *pid != 0);
    for _ in 0..LOOKS {
        if found.is_empty() {
            return None;
        }
        pause();
        let now = look(&found);
        found.retain(|pid| now.contains(pid));
    }
    found.first().copied()
}

/// Processes that have the file open, and not the wal-index of this name. What one reading of the list leaves out is looked for again
/// if it is `known`.
fn by_another(path: &Path, file: FileId, known: &[u32]) -> Vec<u32> {
    let own = std::process::id();
    // Not for a lock that may be on another file, of another file system.
    let is_other =
        |lock: &&HeldLock| lock.certain && !lock.write && lock.bytes.0 >= SHARED && lock.pid != own;
    let with = |found: &[HeldLock], pid: u32| found.iter().any(|lock| lock.pid == pid);
    let readers =
        kernel_locks::on(file, |found| !known.is_empty() && known.iter().all(|pid| with(found, *pid)));
    let mut readers: Vec<u32> = readers.iter().filter(is_other).map(|lock| lock.pid).collect();
    if readers.is_empty() {
        return readers;
    }
    let mut index = path.as_os_str().to_owned();
    index.push("-shm");
    let here = FileId::of(Path::new(&index))
        .map(|index| kernel_locks::on(index, |found| readers.iter().all(|pid| with(found, *pid))));
    let here = here.unwrap_or_default();
    readers.retain(|pid| !with(&here, *pid));
    readers
}

/// The same error, with what is likely behind it where reading failed and the file has several names: who has it open by another
/// one has the wal-index in common with us, and not the WAL.
pub(crate) fn told_of_other_names(error: Error, path: &Path) -> Error {
    let names = std::fs::metadata(path).map_or(1, |found| found.nlink());
    match error.code() {
        Code::Io if names > 1 => Error::OtherNames { path: path.to_owned(), names, source: Box::new(error) },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_by(look: impl Fn(u32) -> Vec<u32>) -> Option<u32> {
        let mut looks = 0;
        let counted = |_: &[u32]| {
            looks += 1;
            look(looks)
        };
        in_every_look(counted, || {})
    }

    /// Each of them has it open for a moment, one after the other.
    #[test]
    fn who_comes_and_goes_is_not_taken_for_one_who_stays() {
        assert_eq!(found_by(|look| vec![look]), None);
        assert_eq!(found_by(|look| vec![look, 4711]), Some(4711));
        assert_eq!(found_by(|look| if look > LOOKS { vec![] } else { vec![4711] }), None);
        assert_eq!(found_by(|_| vec![]), None);
    }

    #[test]
    fn hazard_several_processes_of_another_container_have_no_number() {
        assert_eq!(found_by(|_| vec![0]), None);
        assert_eq!(found_by(|_| vec![0, 4711]), Some(4711));
    }
}
