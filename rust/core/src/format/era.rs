use crate::format::Kind;
use crate::format::fields::{BodyError, Fields};
use crate::types::{Extent, Key, Timestamp};

/// Nothing before the era can be reached.
const BROKEN: u32 = 1;

/// Which kind of images an era has: the key of an `ERA` record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum Engine {
    /// After-images, read behind the writer.
    Wal = 1,
    /// Before-images, taken ahead of the writer.
    Rollback = 2,
}

impl Engine {
    /// The key of an `ERA` record of this engine.
    #[must_use]
    pub const fn key(self) -> Key {
        Key::new(self as u64)
    }

    /// The engine with this key, or `None` for the key of no known engine.
    #[must_use]
    pub const fn from_key(key: Key) -> Option<Self> {
        Some(match key.get() {
            1 => Self::Wal,
            2 => Self::Rollback,
            _ => return None,
        })
    }
}

/// The body of an `ERA` record. Its key is the [`Engine`], its LSN the era's first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EraBody {
    /// When the era began.
    pub time: Timestamp,
    /// How many keys the object had at the era's first LSN.
    pub extent: Extent,
    /// Recording was interrupted before: nothing before the era can be reached.
    pub broken: bool,
}

impl EraBody {
    /// The bytes as they are on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let flags = if self.broken { BROKEN } else { 0 };
        let mut out = Vec::with_capacity(24);
        out.extend_from_slice(&self.time.get().to_le_bytes());
        out.extend_from_slice(&self.extent.get().to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out
    }

    /// Reads the bytes of a body.
    ///
    /// # Errors
    /// When they are too few or too many, or bits are set that this version does not know.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let kind = Kind::Era;
        let mut fields = Fields::new(kind, body);
        let (time, extent, flags, reserved) =
            (fields.time()?, fields.extent()?, fields.u32()?, fields.u32()?);
        fields.end()?;
        match (flags & !BROKEN, reserved) {
            (0, 0) => Ok(Self { time, extent, broken: flags == BROKEN }),
            (0, found) => Err(BodyError::Reserved { kind, found }),
            _ => Err(BodyError::Reserved { kind, found: flags }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_the_format_says() {
        for broken in [false, true] {
            let body = EraBody { time: Timestamp::new(1), extent: Extent::new(2), broken };
            let bytes = body.encode();
            assert_eq!((bytes[16], bytes.len()), (u8::from(broken), 24));
            assert_eq!(EraBody::decode(&bytes), Ok(body));
        }
    }

    #[test]
    fn unknown_bits_are_an_error() {
        for at in [16, 17, 20] {
            let mut bytes = [0; 24];
            bytes[at] = 2;
            assert!(matches!(EraBody::decode(&bytes), Err(BodyError::Reserved { .. })));
        }
    }

    #[test]
    fn engines_round_trip_through_their_keys() {
        for engine in [Engine::Wal, Engine::Rollback] {
            assert_eq!(Engine::from_key(engine.key()), Some(engine));
        }
        assert_eq!(Engine::from_key(Key::new(0)), None);
    }
}
