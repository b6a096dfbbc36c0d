//! Who holds POSIX locks, from the kernel's list, `/proc/locks`.

use std::fs::{self, File};
use std::io::Read;

use crate::file::FileId;

/// How often the list is read when nothing is found. One reading in some hundred leaves out a lock that is held all
/// the time: the kernel hands the list over in pieces of 4 KiB, and finds its place again by counting, while others
/// lock and unlock.
const READINGS: usize = 10;

/// One lock that a process holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldLock {
    /// Its process.
    pub(crate) pid: u32,
    /// Exclusive.
    pub(crate) write: bool,
    /// First and last byte.
    pub(crate) bytes: (u64, u64),
    /// It is on the device that `stat` tells, too: else it may be one on another file, which has the same inode number.
    pub(crate) certain: bool,
    device: (u64, u64),
    inode: u64,
}

/// The locks on a file, as far as the kernel tells. The list is read again and again until `enough` was found of it.
///
/// Some file systems show another device than `stat` does. There the inode has to do, if no lock with it is on the right device.
pub(crate) fn on(file: FileId, enough: impl Fn(&[HeldLock]) -> bool) -> Vec<HeldLock> {
    found_in(listed, file, enough)
}

/// The list, empty if there is none. A short one in one piece: with room for it beforehand its first bytes are not asked for alone.
fn listed() -> String {
    let mut text = Vec::with_capacity(1 << 16);
    // What was read until then will do: it is never known to be all.
    let _ = File::open("/proc/locks").and_then(|mut file| file.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

fn found_in(
    mut read: impl FnMut() -> String,
    file: FileId,
    enough: impl Fn(&[HeldLock]) -> bool,
) -> Vec<HeldLock> {
    let mut found = Vec::new();
    for _ in 0..READINGS {
        for lock in read().lines().filter_map(parse) {
            if let Some(lock) = lock.on(file)
                && !found.contains(&lock)
            {
                found.push(lock);
            }
        }
        if found.iter().any(|lock| lock.certain) {
            found.retain(|lock| lock.certain);
        }
        if enough(&found) {
            break;
        }
    }
    found
}

/// One line: `7: POSIX  ADVISORY  WRITE 4711 fd:01:9876 1073741825 1073741825`.
fn parse(line: &str) -> Option<HeldLock> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    // A waiter has an arrow here; it holds nothing.
    if fields.next()? != "POSIX" {
        return None;
    }
    let write = fields.nth(1)? == "WRITE";
    let pid = fields.next()?.parse().ok()?;
    let mut place = fields.next()?.split(':');
    let mut number = || u64::from_str_radix(place.next()?, 16).ok();
    let device = (number()?, number()?);
    let inode = place.next()?.parse().ok()?;
    let first = fields.next()?.parse().ok()?;
    let last = match fields.next()? {
        "EOF" => u64::MAX,
        last => last.parse().ok()?,
    };
    Some(HeldLock { pid, write, bytes: (first, last), certain: false, device, inode })
}

impl HeldLock {
    /// The same, if it is on this file or may be.
    fn on(self, file: FileId) -> Option<Self> {
        let device = file.device;
        let shown = (device >> 8 & 0xfff | device >> 32 & !0xfff, device & 0xff | device >> 12 & !0xff);
        let certain = shown == self.device;
        // Those with another device than `stat` tells have none of their own.
        (self.inode == file.inode && (certain || self.device.0 == 0)).then_some(Self { certain, ..self })
    }
}

/// ` (sqlite3)`: what the process runs, for a text.
pub(crate) fn program(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim().is_empty() { String::new() } else { format!(" ({})", name.trim()) }
}

/// Whether this process has no other thread than the calling one, but for those that we started, which run no code of the
/// application. `false` also when the system does not tell.
pub(crate) fn no_other_thread() -> bool {
    let tasks = || fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let is_ours = |name: &str| name.starts_with("dbrewind-");
    let mine = fs::read_link("/proc/thread-self").ok().and_then(|path| Some(path.file_name()?.to_owned()));
    let Some(mine) = mine else { return false };
    let mut here = false;
    for task in tasks() {
        if task.file_name() == mine {
            here = true;
        } else if !fs::read_to_string(task.path().join("comm")).is_ok_and(|name| is_ours(&name)) {
            return false;
        }
    }
    here
}

/// Reads a list that no kernel wrote.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(list: &str) {
    let file = FileId { device: 0xfd01, inode: 9876 };
    let found = found_in(|| list.to_owned(), file, |found| !found.is_empty());
    assert!(found.iter().all(|lock| lock.on(file) == Some(*lock)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId { device: 0xfd01, inode: 9876 };

    /// Who runs tests has threads of its own.
    #[test]
    fn a_thread_of_somebody_else_is_seen() {
        std::thread::scope(|scope| {
            let seen = scope.spawn(no_other_thread).join().unwrap();
            assert!(!seen);
        });
    }

    #[test]
    fn lines_of_the_kernel_are_understood() {
        let lock = parse("7: POSIX  ADVISORY  WRITE 4711 fd:01:9876 1073741825 1073741825").unwrap();
        assert_eq!((lock.pid, lock.write, lock.bytes), (4711, true, (1_073_741_825, 1_073_741_825)));
        assert!(lock.on(FILE).unwrap().certain);
        assert_eq!(lock.on(FileId { inode: 9877, ..FILE }), None);
        assert_eq!(lock.on(FileId { device: 0xfd02, ..FILE }), None);
        let lock = parse("8: POSIX  ADVISORY  READ  4711 00:2a:9876 0 EOF").unwrap();
        assert_eq!((lock.write, lock.bytes), (false, (0, u64::MAX)));
        assert!(!lock.on(FILE).unwrap().certain);
        assert_eq!(parse("7: -> POSIX ADVISORY WRITE 4711 fd:01:9876 1073741825 1073741825"), None);
        assert_eq!(parse("1: FLOCK  ADVISORY  WRITE 1 fd:01:9876 0 EOF"), None);
        assert_eq!(parse("1: POSIX"), None);
    }

    /// Two file systems without a device of their own number their files alike.
    #[test]
    fn hazard_a_file_elsewhere_has_the_same_inode_number() {
        let file = FileId { device: 0x2a, inode: 9876 };
        let other = "7: POSIX  ADVISORY  WRITE 4711 00:2b:9876 120 120\n";
        let own = "8: POSIX  ADVISORY  WRITE 4712 00:2a:9876 120 120\n";
        let found = |list: String| {
            let found = found_in(|| list.clone(), file, |_| false);
            found.iter().map(|lock| (lock.pid, lock.certain)).collect::<Vec<_>>()
        };
        assert_eq!(found(format!("{other}{own}")), [(4712, true)]);
        assert_eq!(found(format!("{own}{other}")), [(4712, true)]);
        assert_eq!(found(other.to_owned()), [(4711, false)]);
    }

    /// The list is not read at one moment: a lock that was held all the time may be missing from one reading.
    #[test]
    fn a_lock_that_one_reading_leaves_out_is_found() {
        let line = "7: POSIX  ADVISORY  WRITE 4711 fd:01:9876 120 120\n";
        let second = "8: POSIX  ADVISORY  WRITE 4712 fd:01:9876 120 120\n";
        for (readings, enough) in [
            (vec!["", line], 1),
            (vec!["", "", "", line], 1),
            (vec![line, second], 2),
            (vec![line, line, second], 2),
            (vec![""; READINGS], 1),
        ] {
            let expected = if readings.contains(&line) { enough } else { 0 };
            let mut readings = readings.into_iter();
            let found = found_in(|| readings.next().unwrap().to_owned(), FILE, |found| found.len() >= enough);
            assert_eq!((found.len(), readings.next()), (expected, None));
        }
    }
}
