//! A medium of bytes in memory: for engines that keep their content there, and for trying things out.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::medium::{Medium, Storage};
use crate::turn::Turn;

/// Bytes in memory with a lock of their own. All clones are the same bytes.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: Mutex<Vec<u8>>,
    turn: Turn,
}

/// The right to read and write the bytes, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it unlocks the bytes"]
pub struct MemoryGuard<'a>(&'a Memory);

impl Memory {
    /// With this content.
    #[must_use]
    pub fn new(content: &[u8]) -> Self {
        Self(Arc::new(Shared { bytes: Mutex::new(content.to_vec()), turn: Turn::default() }))
    }

    /// Locks the bytes, however long that takes.
    pub fn locked(&self) -> MemoryGuard<'_> {
        while !self.0.turn.take(Duration::from_secs(3600)) {}
        MemoryGuard(self)
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryGuard<'_> {
    /// Changes the bytes. The volume may not be called from within.
    pub fn edit<T>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        change(&mut self.0.bytes())
    }

    /// A copy of the bytes.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.0.bytes().clone()
    }
}

impl Drop for MemoryGuard<'_> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

/// The place of so many bytes.
fn range(offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let from = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(from..from.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?)
}

impl Storage for Memory {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        Ok(self.0.turn.take(timeout))
    }

    fn unlock(&self) {
        self.0.turn.give_back();
    }

    fn is_locked_here(&self) -> bool {
        self.0.turn.is_mine()
    }

    /// No other process has these bytes, and no others of this process are at this place.
    fn identity(&self) -> io::Result<Vec<u8>> {
        let place = Arc::as_ptr(&self.0).addr() as u64;
        Ok([u64::from(std::process::id()), place].map(u64::to_le_bytes).concat())
    }
}

impl Medium for Memory {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes();
        let found = bytes.get(range(offset, to.len())?).ok_or(io::ErrorKind::UnexpectedEof)?;
        to.copy_from_slice(found);
        Ok(())
    }

    fn write(&self, offset: u64, from: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes();
        let place = bytes.get_mut(range(offset, from.len())?).ok_or(io::ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(from);
        Ok(())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let size = range(size, 0)?.start;
        let mut bytes = self.bytes();
        let more = size.saturating_sub(bytes.len());
        bytes.try_reserve(more).map_err(|_| io::ErrorKind::OutOfMemory)?;
        bytes.resize(size, 0);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }
}
