//! That all who have a volume attached have the same content: the images of one would be written into the other.

use std::time::Duration;

use dbrewind_core::{ObjectId, Presence, Store};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Error;
use crate::medium::Storage;
use crate::options::AttachOptions;
use crate::registers::Registers;

/// The longest identity, in bytes.
const LONGEST: usize = 4096;

/// Stands for a content. 0: which one it is is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity(u64);

impl Identity {
    /// Asks the content.
    pub(crate) fn of(storage: &dyn Storage) -> Result<Self, Error> {
        let told = storage.identity().map_err(Error::medium("tell its identity"))?;
        match told.len() {
            0 => Ok(Self(0)),
            1..=LONGEST => Ok(Self(xxh3_64(&told).max(1))),
            len => {
                let what = format!("an identity has at most {LONGEST} bytes, not {len}");
                Err(Error::Invalid { what })
            }
        }
    }

    pub(crate) fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) fn raw(self) -> u64 {
        self.0
    }

    pub(crate) fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Whether it is certain that they are two contents.
    pub(crate) fn differs(self, other: Self) -> bool {
        self.is_known() && other.is_known() && self != other
    }
}

/// A handle's presence at its volume.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) presence: Presence,
    /// Nobody else has the volume attached; nor can anybody until others are admitted.
    pub(crate) first: bool,
}

/// Joins those who have a volume attached, if they have the same content. Under the object's lock, so that nobody else comes meanwhile.
pub(crate) fn join(
    store: &Store,
    object: ObjectId,
    own: Identity,
    options: &AttachOptions,
) -> Result<Joined, Error> {
    let mut again = true;
    loop {
        if let Some(presence) = store.attend_alone(object)? {
            return Ok(Joined { presence, first: true });
        }
        if options.anew {
            let what = "others have this volume attached, and so it cannot begin anew (another content needs another name, or a store of \
                        its own)";
            return Err(Error::Busy { what, waited: Duration::ZERO });
        }
        let what = "somebody forgets this volume";
        let busy = Error::Busy { what, waited: options.timeout };
        let presence = store.attend(object, options.timeout)?.ok_or(busy)?;
        if !own.differs(Registers::new(store, object).identity()) {
            return Ok(Joined { presence, first: false });
        }
        // Whoever told of the other content may have left just now.
        if !std::mem::take(&mut again) {
            return Err(Error::OtherContent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_differs_from_nothing() {
        let [none, one, two] = [0, 1, 2].map(Identity::from_raw);
        assert!(one.differs(two) && !one.differs(one));
        assert!(!none.differs(one) && !one.differs(none) && !none.differs(none));
    }
}
