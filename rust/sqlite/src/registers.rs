//! The shared words of a database in its store, by name. All processes that record it read and write them; within the
//! rollback modes each is changed only under a lock on the database file that excludes its readers.

use dbrewind_core::{Lsn, ObjectId, Store};

use crate::counters;
use crate::in_flight::InFlight;
use crate::options::Moments;

/// Which word is what (`format.md`).
mod number {
    /// The highest change counter ever; its wraps above.
    pub(super) const COUNTER: usize = 0;
    /// The highest schema cookie ever.
    pub(super) const COOKIE: usize = 1;
    /// WAL: the highest change number of a wal-index header; its wraps above.
    pub(super) const INDEX_CHANGE: usize = 2;
    /// Rollback modes: the change that is being made.
    pub(super) const IN_FLIGHT: usize = 3;
    /// Rollback modes: the boundary, the newest moment that must stay reachable.
    pub(super) const BOUNDARY: usize = 4;
    /// Rollback modes: the length of the database at the boundary.
    pub(super) const BOUNDARY_EXTENT: usize = 5;
    /// Rollback modes: which moments are kept.
    pub(super) const MOMENTS: usize = 7;
    /// WAL: the stamp of the newest run; 0 in an era of before-images.
    pub(super) const NEWEST_RUN: usize = 6;
}

/// The registers of one database.
#[derive(Clone, Copy)]
pub(crate) struct Registers<'a> {
    store: &'a Store,
    object: ObjectId,
}

impl<'a> Registers<'a> {
    /// Those of an object.
    pub(crate) fn new(store: &'a Store, object: ObjectId) -> Self {
        Self { store, object }
    }

    fn get(self, number: usize) -> u64 {
        self.store.register(self.object, number)
    }

    fn set(self, number: usize, to: u64) {
        self.store.set_register(self.object, number, to);
    }

    fn raise(self, number: usize, to: u64) {
        self.store.raise_register(self.object, number, to);
    }

    /// The change counter that the file had after the last change we know of; the highest ever.
    pub(crate) fn counter(self) -> u32 {
        counters::low(self.get(number::COUNTER))
    }

    /// A counter that no change has given the file yet, ahead of the newest by `step`. `there`: the one in the file.
    pub(crate) fn counter_above(self, there: u32, step: u32) -> u32 {
        self.counter_above_all(&[there], step)
    }

    /// The same, ahead of all of these, too.
    pub(crate) fn counter_above_all(self, these: &[u32], step: u32) -> u32 {
        let known = self.get(number::COUNTER);
        counters::above(these.iter().fold(known, |known, number| counters::seen(known, *number)), step)
    }

    /// A change gave the file this counter.
    pub(crate) fn raise_counter(self, to: u32) {
        self.raise(number::COUNTER, counters::seen(self.get(number::COUNTER), to));
    }

    /// An era begins with a file that has this counter and this cookie.
    pub(crate) fn begin(self, counter: u32, cookie: u32) {
        self.set(number::COUNTER, u64::from(counter));
        self.raise_cookie(cookie);
    }

    /// The highest schema cookie ever seen.
    pub(crate) fn cookie(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "only cookies are put there")]
        let cookie = self.get(number::COOKIE) as u32;
        cookie
    }

    /// A page 1 with this cookie was written.
    pub(crate) fn raise_cookie(self, to: u32) {
        self.raise(number::COOKIE, u64::from(to));
    }

    /// The next change number of a wal-index header: above every one ever used, also before a recovery zeroed it, and
    /// above the present header's. It counts as used.
    pub(crate) fn next_index_change(self, present: u32) -> u32 {
        let known = counters::seen(self.get(number::INDEX_CHANGE), present);
        let next = counters::above(known, 1);
        self.raise(number::INDEX_CHANGE, counters::seen(known, next));
        next
    }

    /// The change that is being made, or was when its process died.
    pub(crate) fn in_flight(self) -> Option<InFlight> {
        InFlight::from_raw(self.get(number::IN_FLIGHT))
    }

    /// Announces a change, or that it is over.
    pub(crate) fn set_in_flight(self, change: Option<InFlight>) {
        self.set(number::IN_FLIGHT, change.map_or(0, InFlight::raw));
    }

    /// The boundary: the newest moment whose state must stay reachable; and the length of the database at it, in keys.
    pub(crate) fn boundary(self) -> (Lsn, u64) {
        (Lsn::new(self.get(number::BOUNDARY)), self.get(number::BOUNDARY_EXTENT))
    }

    /// Moves the boundary: from now on keep what this moment needs. Under a lock that keeps writers out.
    pub(crate) fn set_boundary(self, lsn: Lsn, extent: u64) {
        self.set(number::BOUNDARY_EXTENT, extent);
        self.raise(number::BOUNDARY, lsn.get());
    }

    /// Which moments are kept from now on, for all who record.
    pub(crate) fn set_moments(self, moments: Moments) {
        self.set(
            number::MOMENTS,
            match moments {
                Moments::Marks => 1,
                Moments::Commits => 2,
            },
        );
    }

    /// Which moments are kept.
    pub(crate) fn moments(self) -> Moments {
        match self.get(number::MOMENTS) {
            1 => Moments::Marks,
            2 => Moments::Commits,
            _ => Moments::default(),
        }
    }

    /// The stamp of the newest run of the WAL. 0: none was ever begun, or the present era is one of before-images.
    pub(crate) fn newest_run(self) -> u64 {
        self.get(number::NEWEST_RUN)
    }

    /// Announces a run: from now on LSNs of frames are counted by it.
    pub(crate) fn announce_run(self, stamp: u64) {
        self.set(number::NEWEST_RUN, stamp);
    }

    /// Whether the present era is one of the WAL engine.
    pub(crate) fn in_wal_era(self) -> bool {
        self.newest_run() != 0
    }

    /// The present era is one of before-images.
    pub(crate) fn leave_wal_era(self) {
        self.announce_run(0);
    }
}
