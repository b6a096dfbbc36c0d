//! Notes of a volume (`rust/docs/volumes.md`): what a rewind is about to do, and whether the content is at rest.

use dbrewind_core::{Extent, Lsn, Timestamp};

/// Tags of notes.
pub(crate) mod tag {
    /// From here on the content changes.
    pub(crate) const OPENED: u64 = 32;
    /// The content and all records are on disk; the body is the stamp.
    pub(crate) const CLOSED: u64 = 33;
    /// A rewind is about to happen.
    pub(crate) const INTENT: u64 = 34;
}

const SYNCED: u64 = 1;
const CANCELLED: u64 = 2;
const LEN: usize = 40;

/// What a rewind is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) from: Lsn,
    pub(crate) target: Lsn,
    pub(crate) extent: Extent,
    pub(crate) time: Timestamp,
    /// All that it needs is on disk.
    pub(crate) synced: bool,
    /// It was taken back.
    pub(crate) cancelled: bool,
}

impl Intent {
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let flags = if self.synced { SYNCED } else { 0 } | if self.cancelled { CANCELLED } else { 0 };
        let mut out = [0; LEN];
        let numbers = [self.from.get(), self.target.get(), self.extent.get(), self.time.get(), flags];
        for (place, number) in out.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let body: &[u8; LEN] = body.try_into().ok()?;
        let mut numbers =
            body.chunks_exact(8).filter_map(|number| number.try_into().ok().map(u64::from_le_bytes));
        let mut next = || numbers.next();
        let (from, target, extent, time, flags) = (next()?, next()?, next()?, next()?, next()?);
        (flags & !(SYNCED | CANCELLED) == 0).then_some(Self {
            from: Lsn::new(from),
            target: Lsn::new(target),
            extent: Extent::new(extent),
            time: Timestamp::new(time),
            synced: flags & SYNCED != 0,
            cancelled: flags & CANCELLED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for (synced, cancelled) in [(false, false), (true, false), (true, true)] {
            let (from, target, extent) = (Lsn::new(7), Lsn::new(3), Extent::new(9));
            let intent = Intent { from, target, extent, time: Timestamp::new(11), synced, cancelled };
            assert_eq!(Intent::decode(&intent.encode()), Some(intent));
        }
        let mut wrong = [0; LEN];
        wrong[32] = 4;
        assert_eq!((Intent::decode(&wrong), Intent::decode(&[0; 39])), (None, None));
    }
}
