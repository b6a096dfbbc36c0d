//! The files that guards are written into (`recovery.md`, "A rewind in the rollback modes").

use std::path::{Path, PathBuf};

use dbrewind_core::{Lsn, ObjectId};

use crate::options::Synchronous;

/// A file elsewhere that takes the journal's place when it is a complete guard, and goes back afterwards:
/// nothing has to be allocated or given back.
#[derive(Debug)]
pub(super) struct Spare {
    /// Its own place.
    pub(super) path: PathBuf,
    /// No power cut can find it at the journal's place any more.
    pub(super) is_back: bool,
}

/// There are two of them, taken by turns. What brings one back is only certain after a sync of the folder; the next
/// rewind, with the other one, makes that sync anyway.
#[derive(Default, Debug)]
pub(super) struct Turns {
    second: bool,
    /// Our rewind that made such a sync, if nobody began one after it.
    synced: Option<Lsn>,
    /// A spare file cannot be moved to the journal's place.
    unusable: bool,
}

impl Turns {
    /// The spare file for the next rewind. `newest`: the newest rewind that was begun.
    pub(super) fn next(
        &self,
        folder: &Path,
        object: ObjectId,
        newest: Option<Lsn>,
        sync: Synchronous,
    ) -> Option<Spare> {
        let name = if self.second { "b" } else { "a" };
        let is_back = sync == Synchronous::Off || self.synced.is_some() && self.synced == newest;
        let path = folder.join(format!("guard-{object}-{name}"));
        (!self.unusable).then_some(Spare { path, is_back })
    }

    /// What became of it: the rewind that it was used for, with all syncs, or nothing that is certain.
    pub(super) fn used(&mut self, synced: Option<Lsn>, usable: bool) {
        self.second ^= synced.is_some();
        self.synced = synced;
        self.unusable |= !usable;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(turns: &Turns, newest: u64, sync: Synchronous) -> Option<Spare> {
        turns.next(Path::new("s"), ObjectId::new(3), Some(Lsn::new(newest)), sync)
    }

    fn next(turns: &Turns, newest: u64, sync: Synchronous) -> (String, bool) {
        let spare = given(turns, newest, sync).unwrap();
        (spare.path.to_str().unwrap().to_owned(), spare.is_back)
    }

    fn used(turns: &mut Turns, synced: Option<u64>) {
        turns.used(synced.map(Lsn::new), true);
    }

    fn name(which: &str) -> String {
        format!("s/guard-3-{which}")
    }

    #[test]
    fn the_other_one_is_back_if_nobody_came_between() {
        let mut turns = Turns::default();
        assert_eq!(next(&turns, 5, Synchronous::Normal), (name("a"), false));
        used(&mut turns, Some(6));
        assert_eq!(next(&turns, 6, Synchronous::Normal), (name("b"), true));
        assert_eq!(next(&turns, 7, Synchronous::Normal), (name("b"), false));
        used(&mut turns, Some(7));
        assert_eq!(next(&turns, 7, Synchronous::Full), (name("a"), true));
        used(&mut turns, None);
        assert_eq!(next(&turns, 7, Synchronous::Normal), (name("a"), false));
        turns.used(None, false);
        assert!(given(&turns, 7, Synchronous::Normal).is_none());
    }

    /// A rewind that fails takes its guard from the journal's place without a sync, whoever made it: nobody writes
    /// into a spare file before a sync of his own then.
    #[test]
    fn failed_rewind_leaves_nothing_certain() {
        let (mut ours, mut theirs) = (Turns::default(), Turns::default());
        used(&mut ours, Some(6));
        assert_eq!(next(&ours, 6, Synchronous::Normal), (name("b"), true));
        // Ours, 7.
        used(&mut ours, None);
        for newest in [6, 7, 8] {
            assert!(!next(&ours, newest, Synchronous::Normal).1 && !next(&ours, newest, Synchronous::Full).1);
        }
        used(&mut ours, Some(8));
        // Theirs, 9: all that we see of it is its intent.
        assert_eq!(next(&theirs, 8, Synchronous::Normal), (name("a"), false));
        used(&mut theirs, None);
        assert!(!next(&ours, 9, Synchronous::Normal).1 && !next(&theirs, 9, Synchronous::Normal).1);
        // One that failed before its intent was written had no guard at the journal's place.
        assert_eq!(next(&ours, 8, Synchronous::Normal), (name("a"), true));
    }

    #[test]
    fn without_syncs_one_of_them_stays_in_the_caches() {
        let mut turns = Turns::default();
        assert_eq!(next(&turns, 5, Synchronous::Off), (name("a"), true));
        used(&mut turns, None);
        assert_eq!(next(&turns, 6, Synchronous::Off), (name("a"), true));
    }
}
