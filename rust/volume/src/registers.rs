//! The shared words of a volume, by name. All processes that have it attached read them, and change them under the engine's lock.

use dbrewind_core::{Extent, Lsn, ObjectId, Store};

use crate::identity::Identity;

/// Which word is what (`rust/docs/volumes.md`).
mod number {
    pub(super) const IN_FLIGHT: usize = 0;
    pub(super) const BOUNDARY: usize = 1;
    pub(super) const BOUNDARY_EXTENT: usize = 2;
    pub(super) const REWINDS: usize = 3;
    pub(super) const OPENED: usize = 4;
    pub(super) const IDENTITY: usize = 5;
}

/// What is being done to the content, or was when its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InFlight {
    Nothing,
    Change,
    Rewind,
}

/// The registers of one volume.
#[derive(Clone, Copy)]
pub(crate) struct Registers<'a> {
    store: &'a Store,
    object: ObjectId,
}

impl<'a> Registers<'a> {
    pub(crate) fn new(store: &'a Store, object: ObjectId) -> Self {
        Self { store, object }
    }

    fn get(self, number: usize) -> u64 {
        self.store.register(self.object, number)
    }

    fn set(self, number: usize, to: u64) {
        self.store.set_register(self.object, number, to);
    }

    pub(crate) fn in_flight(self) -> InFlight {
        match self.get(number::IN_FLIGHT) {
            0 => InFlight::Nothing,
            2 => InFlight::Rewind,
            _ => InFlight::Change,
        }
    }

    pub(crate) fn set_in_flight(self, to: InFlight) {
        let raw = match to {
            InFlight::Nothing => 0,
            InFlight::Change => 1,
            InFlight::Rewind => 2,
        };
        self.set(number::IN_FLIGHT, raw);
    }

    /// The newest moment that must stay reachable, and the extent there.
    pub(crate) fn boundary(self) -> (Lsn, u64) {
        (Lsn::new(self.get(number::BOUNDARY)), self.get(number::BOUNDARY_EXTENT))
    }

    /// From now on keep what this moment needs.
    pub(crate) fn set_boundary(self, lsn: Lsn, extent: Extent) {
        // Killed in between, the old moment has the new extent: what that leaves out was cut off since, and saved then.
        self.set(number::BOUNDARY_EXTENT, extent.get());
        self.set(number::BOUNDARY, lsn.get());
    }

    /// How often anybody has rewound.
    pub(crate) fn rewinds(self) -> u64 {
        self.get(number::REWINDS)
    }

    /// Somebody has rewound: whoever caches anything must throw it away.
    pub(crate) fn count_rewind(self) -> u64 {
        self.store.add_register(self.object, number::REWINDS, 1).wrapping_add(1)
    }

    /// Whether it is on disk that the content changes.
    pub(crate) fn opened(self) -> bool {
        self.get(number::OPENED) != 0
    }

    pub(crate) fn set_opened(self, to: bool) {
        self.set(number::OPENED, u64::from(to));
    }

    /// Which content it is, as whoever attached first has told.
    pub(crate) fn identity(self) -> Identity {
        Identity::from_raw(self.get(number::IDENTITY))
    }

    pub(crate) fn set_identity(self, to: Identity) {
        self.set(number::IDENTITY, to.raw());
    }
}
