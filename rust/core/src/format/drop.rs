use crate::format::Kind;
use crate::format::fields::{BodyError, Fields, put_name};
use crate::types::{MarkName, Timestamp};

/// The body of a `DROP` record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DropBody {
    /// When the mark was dropped.
    pub time: Timestamp,
    /// The dropped mark's name.
    pub name: MarkName,
}

impl DropBody {
    /// The bytes as they are on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + self.name.as_str().len());
        out.extend_from_slice(&self.time.get().to_le_bytes());
        put_name(&mut out, &self.name);
        out
    }

    /// Reads the bytes of a body.
    ///
    /// # Errors
    /// When they are too few or too many, or the name cannot be one.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let mut fields = Fields::new(Kind::Drop, body);
        let this = Self { time: fields.time()?, name: fields.name()? };
        fields.end()?;
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_the_format_says() {
        let body = DropBody { time: Timestamp::new(3), name: MarkName::new("ab").unwrap() };
        assert_eq!(body.encode(), [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, b'a', b'b']);
        assert_eq!(DropBody::decode(&body.encode()), Ok(body));
    }

    #[test]
    fn bytes_after_the_name_are_an_error() {
        let bytes = [3, 0, 0, 0, 0, 0, 0, 0, 1, 0, b'a', b'b'];
        assert_eq!(DropBody::decode(&bytes), Err(BodyError::Long { kind: Kind::Drop, extra: 1 }));
    }
}
