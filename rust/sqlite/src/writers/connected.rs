//! Who had the database open when a commit was copied out of the WAL. Nothing in a frame says whose it is.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dbrewind_core::Lsn;

use super::process::{self, Process, program};
use crate::file::FileId;
use crate::kernel_locks;
use crate::sync::{AtomicBool, Ordering};

/// Looks that are remembered at most.
const LOOKS: usize = 512;

/// Whom the looks have seen, if somebody asked for them.
#[derive(Debug, Default)]
pub(crate) struct Connected {
    on: AtomicBool,
    looks: Mutex<VecDeque<Look>>,
}

/// Another process.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) process: Process,
    pub(crate) program: String,
}

/// Looks that followed each other and have seen the same.
#[derive(Debug)]
struct Look {
    /// The newest commit that was copied when the first of them was taken.
    from: Lsn,
    /// The same of the last.
    to: Lsn,
    who: Vec<Arc<Seen>>,
}

impl Connected {
    /// From now on whoever copies commits looks, or not any more: then nothing is remembered.
    pub(crate) fn set(&self, on: bool) {
        // Relaxed: nothing else is told by it.
        self.on.store(on, Ordering::Relaxed);
        if !on {
            self.looks().clear();
        }
    }

    /// Whether to look.
    pub(crate) fn is_on(&self) -> bool {
        // Relaxed: as in `set`.
        self.on.load(Ordering::Relaxed)
    }

    fn looks(&self) -> MutexGuard<'_, VecDeque<Look>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks who has the database open now, in WAL mode. `copied`: a commit that was copied by now.
    pub(crate) fn look(&self, database: &Path, copied: Lsn) {
        let now = process::now();
        self.note(copied, &locking(database), now, Process::of);
    }

    /// `now`: when the list of these numbers was asked for, or before.
    fn note(&self, copied: Lsn, pids: &[u32], now: u64, of: impl Fn(u32) -> Option<Process>) {
        let mut looks = self.looks();
        let known = |process: Process| {
            let mut all = looks.iter().rev().flat_map(|look| &look.who);
            all.find(|seen| seen.process == process).map(Arc::clone)
        };
        // One that began after the list was read has the number of one that was in it, and has ended.
        let processes = pids.iter().filter_map(|pid| of(*pid)).filter(|process| process.began <= now);
        let who: Vec<_> = processes
            .map(|process| {
                known(process).unwrap_or_else(|| Arc::new(Seen { process, program: program(process.pid) }))
            })
            .collect();
        if let Some(last) = looks.back_mut()
            && last.who == who
        {
            last.to = last.to.max(copied);
            return;
        }
        looks.push_back(Look { from: copied, to: copied, who });
        while looks.len() > LOOKS {
            looks.pop_front();
        }
    }

    /// Who was seen when one of these commits was the newest that was copied.
    pub(crate) fn at(&self, commits: &[RangeInclusive<Lsn>]) -> Vec<Arc<Seen>> {
        let mut found: Vec<Arc<Seen>> = Vec::new();
        let looks = self.looks();
        let touched =
            |look: &&Look| commits.iter().any(|lsns| look.from <= *lsns.end() && *lsns.start() <= look.to);
        for seen in looks.iter().filter(touched).flat_map(|look| &look.who) {
            if !found.contains(seen) {
                found.push(Arc::clone(seen));
            }
        }
        found
    }
}

/// The other processes with a lock on the wal-index: every connection has one.
fn locking(database: &Path) -> Vec<u32> {
    let mut index = database.as_os_str().to_owned();
    index.push("-shm");
    let Ok(file) = FileId::of(Path::new(&index)) else { return Vec::new() };
    let me = std::process::id();
    // One reading: what it leaves out, the next look finds.
    let mut pids: Vec<u32> = kernel_locks::on(file, |_| true).iter().map(|lock| lock.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    // 0: one of another container.
    pids.retain(|pid| *pid != me && *pid != 0);
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsns(from: u64, to: u64) -> RangeInclusive<Lsn> {
        Lsn::new(from)..=Lsn::new(to)
    }

    /// A machine on which each number was given at this tick.
    fn looked(connected: &Connected, lsn: u64, pids: &[u32], began: u64, now: u64) {
        connected.note(Lsn::new(lsn), pids, now, |pid| Some(Process { pid, began }));
    }

    fn seen(connected: &Connected, ways: &[RangeInclusive<Lsn>]) -> Vec<(u32, u64)> {
        connected.at(ways).iter().map(|seen| (seen.process.pid, seen.process.began)).collect()
    }

    #[test]
    fn who_was_seen_is_told_for_the_commits_at_which_it_was() {
        let connected = Connected::default();
        looked(&connected, 5, &[], 1, 9);
        looked(&connected, 6, &[70], 1, 9);
        looked(&connected, 8, &[70], 1, 9);
        looked(&connected, 9, &[70, 71], 1, 9);
        looked(&connected, 12, &[], 1, 9);
        assert_eq!(seen(&connected, &[lsns(1, 5)]), []);
        assert_eq!(seen(&connected, &[lsns(6, 6)]), [(70, 1)]);
        assert_eq!(seen(&connected, &[lsns(7, 7)]), [(70, 1)], "between two looks that saw it");
        assert_eq!(seen(&connected, &[lsns(9, 20)]), [(70, 1), (71, 1)]);
        assert_eq!(seen(&connected, &[lsns(10, 20)]), [], "nobody was there any more");
        assert_eq!(seen(&connected, &[lsns(10, 20), lsns(2, 6)]), [(70, 1)]);
        assert_eq!(seen(&connected, &[]), []);
    }

    #[test]
    fn a_number_that_was_given_again_is_another_process() {
        let connected = Connected::default();
        looked(&connected, 5, &[70], 1, 9);
        looked(&connected, 6, &[70], 10, 20);
        assert_eq!(seen(&connected, &[lsns(5, 5)]), [(70, 1)]);
        assert_eq!(seen(&connected, &[lsns(6, 6)]), [(70, 10)]);
        // Given between the list and the look at who has it.
        looked(&connected, 7, &[70], 31, 30);
        assert_eq!(seen(&connected, &[lsns(7, 7)]), []);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let connected = Connected::default();
        for lsn in 0..2 * LOOKS as u64 {
            looked(&connected, lsn, &[u32::try_from(lsn % 2).unwrap() + 70], 1, 9);
        }
        assert_eq!(connected.looks().len(), LOOKS);
        assert_eq!(seen(&connected, &[lsns(0, LOOKS as u64 - 1)]), []);
        connected.set(false);
        assert_eq!(seen(&connected, &[lsns(0, u64::MAX)]), []);
    }
}
