use crate::format::Kind;
use crate::format::fields::{BodyError, Fields};
use crate::types::{Extent, Timestamp};

/// The body of a `COMMIT` record.
///
/// ```
/// use dbrewind_core::{CommitBody, Extent, Timestamp};
/// let body = CommitBody { time: Timestamp::new(7), extent: Extent::new(3) };
/// assert_eq!(CommitBody::decode(&body.encode())?, body);
/// # Ok::<(), dbrewind_core::BodyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommitBody {
    /// When the commit was seen.
    pub time: Timestamp,
    /// How many keys the object had after it.
    pub extent: Extent,
}

impl CommitBody {
    /// The bytes as they are on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        out.extend_from_slice(&self.time.get().to_le_bytes());
        out.extend_from_slice(&self.extent.get().to_le_bytes());
        out
    }

    /// Reads the bytes of a body.
    ///
    /// # Errors
    /// When they are too few or too many.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let mut fields = Fields::new(Kind::Commit, body);
        let this = Self { time: fields.time()?, extent: fields.extent()? };
        fields.end()?;
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_the_format_says() {
        let body = CommitBody { time: Timestamp::new(0x0102), extent: Extent::new(5) };
        assert_eq!(body.encode(), [2, 1, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(CommitBody::decode(&body.encode()), Ok(body));
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        assert_eq!(CommitBody::decode(&[0; 15]), Err(BodyError::Short { kind: Kind::Commit, missing: 1 }));
        assert_eq!(CommitBody::decode(&[0; 18]), Err(BodyError::Long { kind: Kind::Commit, extra: 2 }));
    }
}
