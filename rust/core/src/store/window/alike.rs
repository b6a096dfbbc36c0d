//! Which moments of an object have the same state, as far as rewinds and eras tell: so that a mark can be reached through a later
//! moment once its own is evicted (`rust/docs/window.md`, "Marks and pins").

use std::collections::BTreeMap;

use crate::types::Lsn;

/// See the module. A moment that nothing is known of is like itself alone.
#[derive(Clone, Default, Debug)]
pub(super) struct Alike {
    /// From a moment to one like it. Never in a circle.
    like: BTreeMap<Lsn, Lsn>,
    /// The newest of all that end at this one.
    newest: BTreeMap<Lsn, Lsn>,
}

impl Alike {
    /// Both moments have the same state.
    pub(super) fn join(&mut self, a: Lsn, b: Lsn) {
        let (from, to) = (self.root(a), self.root(b));
        let newest = self.newest.get(&to).copied().unwrap_or(to).max(a).max(b);
        let newest = newest.max(self.newest.remove(&from).unwrap_or(from));
        self.newest.insert(to, newest);
        if from != to {
            self.like.insert(from, to);
        }
        // The way is short for who asks for the newer one again.
        if a != to {
            self.like.insert(a, to);
        }
    }

    /// The newest moment known to have this one's state.
    pub(super) fn newest(&self, moment: Lsn) -> Lsn {
        self.newest.get(&self.root(moment)).copied().unwrap_or(moment).max(moment)
    }

    /// Forgets the moments below one, but for those that have a mark.
    pub(super) fn forget_below(&mut self, first: Lsn, marked: &dyn Fn(Lsn) -> bool) {
        let stays = |moment: &Lsn| *moment >= first || marked(*moment);
        let kept: BTreeMap<Lsn, Lsn> = self
            .like
            .keys()
            .filter(|moment| stays(moment))
            .map(|moment| (*moment, self.root(*moment)))
            .collect();
        self.newest.retain(|_, newest| *newest >= first);
        self.like = kept;
    }

    /// Where the way from a moment ends.
    fn root(&self, mut moment: Lsn) -> Lsn {
        while let Some(next) = self.like.get(&moment) {
            moment = *next;
        }
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(raw: u64) -> Lsn {
        Lsn::new(raw)
    }

    #[test]
    fn the_newest_of_those_that_are_alike_is_found_from_each_of_them() {
        let mut alike = Alike::default();
        // Rewinds to 3; a rewind to that one; an era that begins there; and one to another state.
        for (moment, like) in [(5, 3), (7, 3), (9, 7), (10, 9), (12, 4), (15, 10)] {
            alike.join(lsn(moment), lsn(like));
        }
        for moment in [3, 5, 7, 9, 10, 15] {
            assert_eq!(alike.newest(lsn(moment)), lsn(15), "{moment}");
        }
        assert_eq!([4, 12, 6].map(|moment| alike.newest(lsn(moment)).get()), [12, 12, 6]);
    }

    #[test]
    fn what_a_copied_mark_says_joins_what_is_known_of_both() {
        let mut alike = Alike::default();
        // Those before 20 are gone: what 9 was like only the mark at 3 tells.
        for (moment, like) in [(21, 9), (25, 21)] {
            alike.join(lsn(moment), lsn(like));
        }
        alike.join(lsn(3), lsn(21));
        assert_eq!(alike.newest(lsn(3)), lsn(25));
        alike.join(lsn(27), lsn(3));
        assert_eq!(alike.newest(lsn(9)), lsn(27));
        alike.join(lsn(9), lsn(27));
        assert_eq!(alike.newest(lsn(3)), lsn(27));
    }

    #[test]
    fn a_marked_moment_is_remembered() {
        let mut alike = Alike::default();
        for (moment, like) in [(5, 3), (7, 5), (9, 7)] {
            alike.join(lsn(moment), lsn(like));
        }
        alike.forget_below(lsn(8), &|moment| moment == lsn(5));
        assert_eq!(alike.newest(lsn(5)), lsn(9));
        assert_eq!(alike.newest(lsn(7)), lsn(7), "nobody asks for it any more");
        alike.join(lsn(12), lsn(9));
        assert_eq!(alike.newest(lsn(5)), lsn(12));
        alike.forget_below(lsn(20), &|moment| moment == lsn(5));
        assert_eq!(alike.newest(lsn(5)), lsn(5));
    }
}
