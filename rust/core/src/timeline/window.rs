//! What a timeline forgets when the beginning of the log is evicted (`rust/docs/window.md`).

use super::Timeline;
use crate::store::Store;
use crate::types::Lsn;

impl Timeline {
    /// Whether something was evicted that this object may have had a part in.
    pub(super) fn is_cut(&self) -> bool {
        self.begins > 1
    }

    /// Takes note of where the log begins now. Begins anew if records may have gone that were not read.
    pub(super) fn follow_window(&mut self, store: &Store) {
        let begins = store.first_segment();
        if begins == self.begins {
            return;
        }
        if self.cursor.next().segment().get() < u64::from(begins) {
            *self = Self::empty(self.object, self.whole_from);
            self.read_from = begins;
        }
        self.begins = begins;
        self.forget_evicted();
    }

    /// Forgets the eras whose records are gone.
    fn forget_evicted(&mut self) {
        let begins = u64::from(self.begins);
        let gone = self.eras.iter().take_while(|log| log.at.segment().get() < begins).count();
        if gone == 0 {
            return;
        }
        self.eras.drain(..gone);
        let first = self.eras.first().map_or(Lsn::new(u64::MAX), |log| log.era.first);
        self.marks.evict_below(first);
        self.left.retain(|lsn| *lsn >= first);
        let rewinds = std::mem::take(&mut self.rewinds);
        for rewind in rewinds.into_iter().filter(|rewind| rewind.lsn > first) {
            if rewind.target < first {
                // From now on a commit like any other; in a rollback era still one that can be reached.
                self.left.insert(rewind.lsn);
            } else {
                self.rewinds.push(rewind);
            }
        }
        self.learn_roots(0);
    }
}
