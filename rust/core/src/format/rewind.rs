use crate::format::Kind;
use crate::format::fields::{BodyError, Fields};
use crate::types::{Extent, Lsn, Timestamp};

/// The body of a `REWIND` record. Its key is the target's LSN, its LSN the rewind's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RewindBody<'a> {
    /// When the rewind happened.
    pub time: Timestamp,
    /// How many keys the object had after it, that is at the target.
    pub extent: Extent,
    /// The moment that was left: a rewind to it takes this one back.
    pub from: Lsn,
    /// The adapter's bytes.
    pub note: &'a [u8],
}

impl<'a> RewindBody<'a> {
    /// The bytes as they are on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.note.len());
        out.extend_from_slice(&self.time.get().to_le_bytes());
        out.extend_from_slice(&self.extent.get().to_le_bytes());
        out.extend_from_slice(&self.from.get().to_le_bytes());
        out.extend_from_slice(self.note);
        out
    }

    /// Reads the bytes of a body.
    ///
    /// # Errors
    /// When they are too few.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyError> {
        let mut fields = Fields::new(Kind::Rewind, body);
        let (time, extent, from) = (fields.time()?, fields.extent()?, fields.lsn()?);
        Ok(Self { time, extent, from, note: fields.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_the_format_says() {
        let body =
            RewindBody { time: Timestamp::new(1), extent: Extent::new(2), from: Lsn::new(3), note: &[4] };
        let bytes = body.encode();
        assert_eq!((bytes[0], bytes[8], bytes[16], bytes[24], bytes.len()), (1, 2, 3, 4, 25));
        assert_eq!(RewindBody::decode(&bytes), Ok(body));
    }

    #[test]
    fn a_short_body_is_an_error() {
        assert_eq!(RewindBody::decode(&[0; 20]), Err(BodyError::Short { kind: Kind::Rewind, missing: 4 }));
    }
}
