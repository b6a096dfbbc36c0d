use std::ptr::NonNull;

use super::super::host_file::{VfsError, span};
use super::super::types::sqlite3_file;
use crate::file::Content;

/// The wrapped file behind one of ours, for the length of one callback.
#[derive(Debug)]
pub(crate) struct RealFile {
    file: NonNull<sqlite3_file>,
}

impl RealFile {
    /// # Safety
    /// `file` is open and its xRead and xFileSize may be called as long as the result lives.
    pub(super) unsafe fn new(file: NonNull<sqlite3_file>) -> Self {
        Self { file }
    }
}

impl Content for RealFile {
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), VfsError> {
        let (len, offset) = span(buffer.len(), offset)?;
        // SAFETY: the file is open by the contract of `new`; the buffer is valid for `len` bytes.
        VfsError::check(unsafe {
            let Some(read) = (*(*self.file.as_ptr()).pMethods).xRead else {
                return Err(VfsError::Code(super::types::SQLITE_NOTFOUND));
            };
            read(self.file.as_ptr(), buffer.as_mut_ptr().cast(), len, offset)
        })
    }

    fn size(&mut self) -> Result<u64, VfsError> {
        let mut size = 0;
        // SAFETY: the file is open by the contract of `new`; `size` is valid for the write.
        VfsError::check(unsafe {
            let Some(get) = (*(*self.file.as_ptr()).pMethods).xFileSize else {
                return Err(VfsError::Code(super::types::SQLITE_NOTFOUND));
            };
            get(self.file.as_ptr(), &raw mut size)
        })?;
        u64::try_from(size).map_err(|_| VfsError::Code(super::types::SQLITE_IOERR))
    }
}
