use crate::format::Kind;
use crate::format::fields::{BodyError, Fields, put_name};
use crate::types::{Extent, MarkName, Timestamp};

/// The body of a `MARK` record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkBody<'a> {
    /// When the mark was set.
    pub time: Timestamp,
    /// How many keys the object had at the marked moment.
    pub extent: Extent,
    /// The mark's name.
    pub name: MarkName,
    /// The adapter's bytes.
    pub note: &'a [u8],
}

impl<'a> MarkBody<'a> {
    /// The bytes as they are on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(18 + self.name.as_str().len() + self.note.len());
        out.extend_from_slice(&self.time.get().to_le_bytes());
        out.extend_from_slice(&self.extent.get().to_le_bytes());
        put_name(&mut out, &self.name);
        out.extend_from_slice(self.note);
        out
    }

    /// Reads the bytes of a body.
    ///
    /// # Errors
    /// When they are too few, or the name cannot be one.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyError> {
        let mut fields = Fields::new(Kind::Mark, body);
        let (time, extent, name) = (fields.time()?, fields.extent()?, fields.name()?);
        Ok(Self { time, extent, name, note: fields.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MarkNameError;

    #[test]
    fn bytes_are_as_the_format_says() {
        let name = MarkName::new("é").unwrap();
        let body = MarkBody { time: Timestamp::new(1), extent: Extent::new(2), name, note: &[9, 8] };
        let bytes = body.encode();
        assert_eq!(bytes[16..], [2, 0, 0xc3, 0xa9, 9, 8]);
        assert_eq!(MarkBody::decode(&bytes), Ok(body));
    }

    #[test]
    fn a_name_longer_than_the_body_is_an_error() {
        let mut bytes = vec![0; 16];
        bytes.extend_from_slice(&[0xff, 0xff, b'a']);
        assert_eq!(MarkBody::decode(&bytes), Err(BodyError::Short { kind: Kind::Mark, missing: 0xfffe }));
    }

    #[test]
    fn a_name_that_cannot_be_one_is_an_error() {
        let mut bytes = vec![0; 16];
        bytes.extend_from_slice(&[1, 0, 0xff]);
        assert_eq!(MarkBody::decode(&bytes), Err(BodyError::NotText { kind: Kind::Mark }));
        let empty = [0; 18];
        let source = MarkNameError::Empty;
        assert_eq!(MarkBody::decode(&empty), Err(BodyError::Name { kind: Kind::Mark, source }));
    }
}
