use std::ffi::c_void;
use std::ptr::NonNull;

use crate::sync::{AtomicU32, Ordering, fence};

/// One 32,768-byte region of the wal-index: memory shared with every process that has the database open.
///
/// Read and written as whole 32-bit words, relaxed; the order between them is made by the caller with
/// [`HostFile::shm_barrier`](super::HostFile::shm_barrier), as SQLite itself does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    words: NonNull<AtomicU32>,
}

// SAFETY: the memory is shared between processes anyway, and every access is atomic.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Size of a region in bytes.
    pub(crate) const SIZE: usize = 32_768;

    /// Takes a mapping. `None`: null, or not aligned to words.
    ///
    /// # Safety
    /// `address` is the start of `Region::SIZE` mapped bytes, readable and writable, that outlive every
    /// copy of the result.
    pub(super) unsafe fn new(address: *mut c_void) -> Option<Self> {
        if !address.addr().is_multiple_of(align_of::<AtomicU32>()) {
            return None;
        }
        NonNull::new(address.cast()).map(|words| Self { words })
    }

    fn word(&self, index: usize) -> Option<&AtomicU32> {
        if index >= Self::SIZE / 4 {
            return None;
        }
        // SAFETY: the index is inside the mapping, which is valid by the contract of `new`; an atomic in
        // shared memory may be referenced while others change it.
        Some(unsafe { self.words.add(index).as_ref() })
    }

    /// The word at byte `offset`, a multiple of 4; 0 outside the region.
    pub(crate) fn load(&self, offset: usize) -> u32 {
        // Relaxed: pairs with SQLite's plain stores; the caller's barrier orders it.
        self.word(offset / 4).map_or(0, |w| w.load(Ordering::Relaxed))
    }

    /// Stores the word at byte `offset`, a multiple of 4; outside the region nothing happens.
    pub(crate) fn store(&self, offset: usize, value: u32) {
        if let Some(word) = self.word(offset / 4) {
            // Relaxed: pairs with SQLite's plain loads; the caller's barrier orders it.
            word.store(value, Ordering::Relaxed);
        }
    }

    /// The 16-bit value at byte `offset`, a multiple of 2, in native byte order.
    pub(crate) fn load_u16(&self, offset: usize) -> u16 {
        let [a, b, c, d] = self.load(offset & !3).to_ne_bytes();
        if offset & 2 == 0 { u16::from_ne_bytes([a, b]) } else { u16::from_ne_bytes([c, d]) }
    }

    /// Stores a 16-bit value. Only under SQLite's WRITE lock: the word's other half is written back.
    pub(crate) fn store_u16(&self, offset: usize, value: u16) {
        let [a, b, c, d] = self.load(offset & !3).to_ne_bytes();
        let [x, y] = value.to_ne_bytes();
        let bytes = if offset & 2 == 0 { [x, y, c, d] } else { [a, b, x, y] };
        self.store(offset & !3, u32::from_ne_bytes(bytes));
    }
}

/// A full memory barrier between accesses to regions, where no file is at hand to ask its VFS.
pub(crate) fn full_barrier() {
    // Sequentially consistent: pairs with the barrier that every publisher of a wal-index header, SQLite's and
    // ours, has between its two copies.
    fence(Ordering::SeqCst);
}
