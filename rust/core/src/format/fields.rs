use crate::format::Kind;
use crate::types::{Extent, Lsn, MarkName, MarkNameError, Timestamp};

/// Why the body of a record cannot be what its kind says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The body ends inside a field.
    #[error("the body of a {kind:?} record ends {missing} bytes too early")]
    Short {
        /// The record's kind.
        kind: Kind,
        /// How many bytes the field at the end lacks.
        missing: usize,
    },
    /// Bytes follow the last field.
    #[error("the body of a {kind:?} record has {extra} bytes after its last field")]
    Long {
        /// The record's kind.
        kind: Kind,
        /// How many bytes there are too many.
        extra: usize,
    },
    /// Bits that this version does not know are set.
    #[error("the body of a {kind:?} record has unknown flags or reserved bits: {found:#x}")]
    Reserved {
        /// The record's kind.
        kind: Kind,
        /// The whole field.
        found: u32,
    },
    /// The name is not UTF-8.
    #[error("the name in a {kind:?} record is not UTF-8")]
    NotText {
        /// The record's kind.
        kind: Kind,
    },
    /// The name cannot be one.
    #[error("the name in a {kind:?} record cannot be one: {source}")]
    Name {
        /// The record's kind.
        kind: Kind,
        /// What is wrong with it.
        source: MarkNameError,
    },
}

/// Takes little-endian fields off the front of a body, and never reads past its end.
pub(super) struct Fields<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(kind: Kind, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BodyError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.short(N))?;
        self.rest = rest;
        Ok(*head)
    }

    fn short(&self, wanted: usize) -> BodyError {
        BodyError::Short { kind: self.kind, missing: wanted.saturating_sub(self.rest.len()) }
    }

    pub(super) fn u32(&mut self) -> Result<u32, BodyError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, BodyError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, BodyError> {
        Ok(Timestamp::new(self.u64()?))
    }

    pub(super) fn extent(&mut self) -> Result<Extent, BodyError> {
        Ok(Extent::new(self.u64()?))
    }

    pub(super) fn lsn(&mut self) -> Result<Lsn, BodyError> {
        Ok(Lsn::new(self.u64()?))
    }

    /// A name: its length as u16, then its bytes.
    pub(super) fn name(&mut self) -> Result<MarkName, BodyError> {
        let len = usize::from(u16::from_le_bytes(self.array()?));
        let (name, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.short(len))?;
        self.rest = rest;
        let text = std::str::from_utf8(name).map_err(|_| BodyError::NotText { kind: self.kind })?;
        MarkName::new(text).map_err(|source| BodyError::Name { kind: self.kind, source })
    }

    /// Everything after the fields taken so far.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Checks that nothing follows the fields taken so far.
    pub(super) fn end(self) -> Result<(), BodyError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(BodyError::Long { kind: self.kind, extra }),
        }
    }
}

/// Appends a name as [`Fields::name`] reads it.
pub(super) fn put_name(out: &mut Vec<u8>, name: &MarkName) {
    let bytes = name.as_str().as_bytes();
    // A name has at most 255 bytes, so its length always fits.
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}
