//! The shared words of a database, by name. All processes that record it read and write them; within the
//! rollback modes each is changed only under a lock on the database file that excludes its readers.

use dbrewind_core::{Lsn, ObjectId, Store};

use crate::counters;
use crate::in_flight::InFlight;

const COUNTER: usize = 0;
const COOKIE: usize = 1;
const IN_FLIGHT: usize = 3;
const BOUNDARY: usize = 4;
const EXTENT: usize = 5;
/// The WAL engine's newest run.
const RUN: usize = 6;

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

    /// The change counter that the file had after the last change we know of; the highest ever.
    pub(crate) fn counter(self) -> u32 {
        counters::low(self.store.register(self.object, COUNTER))
    }

    /// A counter that no change has given the file yet, ahead of the newest by `step`. `there`: the one in the file.
    pub(crate) fn counter_above(self, there: u32, step: u32) -> u32 {
        counters::above(counters::seen(self.store.register(self.object, COUNTER), there), step)
    }

    /// A recorded change gave the file this counter.
    pub(crate) fn raise_counter(self, to: u32) {
        let known = self.store.register(self.object, COUNTER);
        self.store.raise_register(self.object, COUNTER, counters::seen(known, to));
    }

    /// An era begins with a file that has this counter and this cookie.
    pub(crate) fn begin(self, counter: u32, cookie: u32) {
        self.store.set_register(self.object, COUNTER, u64::from(counter));
        self.raise_cookie(cookie);
    }

    /// Whether the present era is one of the WAL engine.
    pub(crate) fn in_wal_era(self) -> bool {
        self.store.register(self.object, RUN) != 0
    }

    /// The present era is one of before-images.
    pub(crate) fn leave_wal_era(self) {
        self.store.set_register(self.object, RUN, 0);
    }

    /// The highest schema cookie ever seen.
    pub(crate) fn cookie(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "only cookies are put there")]
        let cookie = self.store.register(self.object, COOKIE) as u32;
        cookie
    }

    /// A page 1 with this cookie was written.
    pub(crate) fn raise_cookie(self, to: u32) {
        self.store.raise_register(self.object, COOKIE, u64::from(to));
    }

    /// The change that is being made, or was when its process died.
    pub(crate) fn in_flight(self) -> Option<InFlight> {
        InFlight::from_raw(self.store.register(self.object, IN_FLIGHT))
    }

    /// Announces a change, or that it is over.
    pub(crate) fn set_in_flight(self, change: Option<InFlight>) {
        self.store.set_register(self.object, IN_FLIGHT, change.map_or(0, InFlight::raw));
    }

    /// The newest moment whose state must stay reachable, and the length of the database at it, in keys.
    pub(crate) fn boundary(self) -> (Lsn, u64) {
        let lsn = Lsn::new(self.store.register(self.object, BOUNDARY));
        (lsn, self.store.register(self.object, EXTENT))
    }

    /// From now on keep what this moment needs. Under a lock that keeps writers out.
    pub(crate) fn set_boundary(self, lsn: Lsn, extent: u64) {
        self.store.set_register(self.object, EXTENT, extent);
        self.store.raise_register(self.object, BOUNDARY, lsn.get());
    }
}
