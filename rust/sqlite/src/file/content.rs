use crate::ffi::{HostFile, VfsError};

/// The bytes of a database file, as both our own handle and a callback's file give them.
pub(crate) trait Content {
    /// Reads exactly `buffer.len()` bytes; past the end of the file the rest is zeros and the answer
    /// `ShortRead`. At most 64 KiB at once: the unix VFS counts in 17 bits.
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), VfsError>;

    /// Size in bytes.
    fn size(&mut self) -> Result<u64, VfsError>;
}

impl Content for HostFile {
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), VfsError> {
        Self::read(self, buffer, offset)
    }

    fn size(&mut self) -> Result<u64, VfsError> {
        Self::size(self)
    }
}

/// Reads, taking zeros for what is past the end of the file.
pub(crate) fn read_padded(file: &mut dyn Content, buffer: &mut [u8], offset: u64) -> Result<(), VfsError> {
    match file.read(buffer, offset) {
        Err(VfsError::ShortRead) => Ok(()),
        other => other,
    }
}
