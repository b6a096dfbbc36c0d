use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dbrewind_sqlite::MarkNameError;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The length of a frame cannot be.
    #[error("a frame of {found} bytes cannot be")]
    Length {
        /// What was found.
        found: u64,
    },
    /// The payload ends inside a field.
    #[error("a message ends too early")]
    Short,
    /// The payload goes on after its last field.
    #[error("a message has {left} bytes too many")]
    Long {
        /// How many.
        left: usize,
    },
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A text names no mark.
    #[error(transparent)]
    Name(#[from] MarkNameError),
    /// A value has no meaning.
    #[error("{what} cannot be {found}")]
    Value {
        /// What it is for.
        what: &'static str,
        /// What was found.
        found: u64,
    },
    /// A list is not in the order it is written in, or names one thing twice.
    #[error("{what} are not in order")]
    Order {
        /// What it lists.
        what: &'static str,
    },
}

/// Reads the fields of a payload, one after the other.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, WireError> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(WireError::Value { what, found: found.into() }),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u32()? as usize;
        let (field, rest) = self.0.split_at_checked(len).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(field)
    }

    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| WireError::Text)
    }

    pub(crate) fn path(&mut self) -> Result<PathBuf, WireError> {
        Ok(PathBuf::from(OsStr::from_bytes(self.bytes()?)))
    }

    pub(crate) fn duration(&mut self) -> Result<Duration, WireError> {
        Ok(Duration::from_nanos(self.u64()?))
    }

    pub(crate) fn option<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.flag("the byte before an option")? { value(self).map(Some) } else { Ok(None) }
    }

    /// How many items a list has. `least`: bytes of the shortest item, so that a list cannot claim more than came.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, WireError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / least { Err(WireError::Short) } else { Ok(count) }
    }

    /// A list. `least`: as for [`count`](Self::count).
    pub(crate) fn list<T>(
        &mut self,
        least: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.count(least)?;
        (0..count).map(|_| item(self)).collect()
    }

    /// Every byte was used.
    pub(crate) fn end(self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Long { left: self.0.len() }) }
    }
}

/// Appends bytes with their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A longer field than u32 makes a longer frame than may be, which `finish` refuses.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_path(out: &mut Vec<u8>, path: &Path) {
    put_bytes(out, path.as_os_str().as_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Longer than 584 years becomes that.
pub(crate) fn put_duration(out: &mut Vec<u8>, value: Duration) {
    put_u64(out, u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
}

pub(crate) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        put(out, value);
    }
}
