//! `NOTE` tag 4: a rewind that is about to be made. Written before the first byte that could survive a
//! kill, so that whoever comes next can tell what the file's change counter means.

use dbrewind_core::{Extent, Lsn, Timestamp};

use crate::notes::tag;

/// The tag.
pub(crate) const TAG: u64 = tag::ROLLBACK_INTENT;
const LEN: usize = 40;

/// A rewind to be. Its own LSN is the record's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Intent {
    /// The moment it leaves.
    pub(crate) from: Lsn,
    /// The moment it leads to.
    pub(crate) target: Lsn,
    /// Length of the database there, in keys.
    pub(crate) extent: Extent,
    /// When.
    pub(crate) time: Timestamp,
    /// The change counter that page 1 gets.
    pub(crate) counter: u32,
    /// The schema cookie that page 1 gets.
    pub(crate) cookie: u32,
}

impl Intent {
    /// For the record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(LEN);
        for word in [self.from.get(), self.target.get(), self.extent.get(), self.time.get()] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.extend_from_slice(&self.counter.to_le_bytes());
        body.extend_from_slice(&self.cookie.to_le_bytes());
        body
    }

    /// From the record; `None` when it is not one.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        if body.len() != LEN {
            return None;
        }
        let word =
            |at: usize| -> Option<u64> { Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?)) };
        let half =
            |at: usize| -> Option<u32> { Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?)) };
        Some(Self {
            from: Lsn::new(word(0)?),
            target: Lsn::new(word(8)?),
            extent: Extent::new(word(16)?),
            time: Timestamp::new(word(24)?),
            counter: half(32)?,
            cookie: half(36)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let intent = Intent {
            from: Lsn::new(9),
            target: Lsn::new(4),
            extent: Extent::new(77),
            time: Timestamp::new(1 << 60),
            counter: 5,
            cookie: u32::MAX,
        };
        assert_eq!(Intent::decode(&intent.encode()), Some(intent));
        assert_eq!(Intent::decode(&intent.encode()[1..]), None);
    }
}
