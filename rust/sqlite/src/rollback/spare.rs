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

    fn next(turns: &Turns, newest: u64, sync: Synchronous) -> (String, bool) {
        let spare = turns.next(Path::new("s"), ObjectId::new(3), Some(Lsn::new(newest)), sync).unwrap();
        (spare.path.to_str().unwrap().to_owned(), spare.is_back)
    }

    #[test]
    fn the_other_one_is_back_if_nobody_came_between() {
        let mut turns = Turns::default();
        let name = |which: &str| format!("s/guard-3-{which}");
        assert_eq!(next(&turns, 5, Synchronous::Normal), (name("a"), false));
        turns.used(Some(Lsn::new(6)), true);
        assert_eq!(next(&turns, 6, Synchronous::Normal), (name("b"), true));
        assert_eq!(next(&turns, 7, Synchronous::Normal), (name("b"), false));
        turns.used(Some(Lsn::new(7)), true);
        assert_eq!(next(&turns, 7, Synchronous::Full), (name("a"), true));
        turns.used(None, true);
        assert_eq!(next(&turns, 7, Synchronous::Normal), (name("a"), false));
        turns.used(None, false);
        assert!(turns.next(Path::new("s"), ObjectId::new(3), None, Synchronous::Normal).is_none());
    }

    #[test]
    fn without_syncs_one_of_them_stays_in_the_caches() {
        let mut turns = Turns::default();
        assert_eq!(next(&turns, 5, Synchronous::Off), ("s/guard-3-a".to_owned(), true));
        turns.used(None, true);
        assert_eq!(next(&turns, 6, Synchronous::Off), ("s/guard-3-a".to_owned(), true));
    }
}
