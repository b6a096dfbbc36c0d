#![expect(unsafe_code, reason = "access to mapped memory that other processes write")]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{MmapOptions, MmapRaw};

use crate::sync::AtomicU64;

/// A large page, in bytes. It is made present as a whole, in a fraction of the time that its small pages would take one by one.
pub(crate) const LARGE_PAGE: u32 = 2 << 20;

/// A file mapped for reading and writing, shared with other processes.
///
/// Never lent out as a slice, since somebody else may write to it: words are atomics, everything else
/// is copied.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
    len: u32,
}

impl Mapping {
    /// Maps the first `len` bytes of a file, which must have them, with room on disk.
    pub(crate) fn new(file: &File, len: u32) -> io::Result<Self> {
        let map = MmapOptions::new().len(len as usize).map_raw(file)?;
        Ok(Self { map, len })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The word at this offset, or `None` when there is none.
    #[inline]
    pub(crate) fn word(&self, at: u32) -> Option<&AtomicU64> {
        if !at.is_multiple_of(8) || !self.has(at, 8) {
            return None;
        }
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "mappings begin at a page, and `at` is a multiple of 8"
        )]
        // SAFETY: `has` keeps the offset inside the mapping.
        let word = unsafe { self.map.as_mut_ptr().add(at as usize) }.cast::<u64>();
        // SAFETY: aligned, as said above; valid while the mapping is, hence while `self` is borrowed;
        // this process accesses words as atomics only: `write` is for the bytes of a record after its
        // word, which `ring` keeps apart by its protocol.
        Some(unsafe { AtomicU64::from_ptr(word) })
    }

    /// Copies bytes in; `false`, and nothing is copied, when they do not fit.
    #[inline]
    pub(crate) fn write(&self, at: u32, bytes: &[u8]) -> bool {
        if !self.has(at, bytes.len()) {
            return false;
        }
        // SAFETY: source and target are valid for this length and do not overlap: one is Rust's, the
        // other is the mapping, of which no slices are lent out. The protocol of `ring` gives a
        // reserved record to one writer, and readers come after its commit.
        unsafe {
            let to = self.map.as_mut_ptr().add(at as usize);
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        true
    }

    /// Copies bytes out; `false`, and nothing is copied, when they are not all there.
    #[inline]
    pub(crate) fn read(&self, at: u32, out: &mut [u8]) -> bool {
        if !self.has(at, out.len()) {
            return false;
        }
        // SAFETY: as in `write`, the other way round. Should another program write there all the same,
        // then the copy is garbage, which the hash tells; any bytes are valid for `u8`.
        unsafe {
            let from = self.map.as_ptr().add(at as usize);
            out.as_mut_ptr().copy_from_nonoverlapping(from, out.len());
        }
        true
    }

    /// Has the system make the pages of a range present and writable. Best effort, content stays.
    pub(crate) fn populate(&self, range: Range<u32>) {
        // Else the first fault reads ahead as far as the system is set up to, 8 MiB on some machines, and keeps the
        // processor meanwhile.
        self.load(range.clone());
        self.advise(range, memmap2::Advice::PopulateWrite);
    }

    /// Has the system bring the pages of a range into its memory: a call that writes to them finds them there.
    pub(crate) fn load(&self, range: Range<u32>) {
        self.advise(range, memmap2::Advice::WillNeed);
    }

    /// As [`populate`](Self::populate), of a range that is to be [in large pages](Self::in_large_pages).
    pub(crate) fn populate_large(&self, range: Range<u32>) {
        // Not brought into memory before: that takes small pages.
        self.advise(range, memmap2::Advice::PopulateWrite);
    }

    /// Has the system take large pages for a range when it makes its pages present. Best effort, content stays.
    pub(crate) fn in_large_pages(&self, range: Range<u32>) {
        // One at a time, none ahead: it keeps the processor meanwhile.
        self.advise(range.clone(), memmap2::Advice::Random);
        self.advise(range, memmap2::Advice::HugePage);
    }

    fn advise(&self, range: Range<u32>, advice: memmap2::Advice) {
        const PAGE: u32 = 4096;
        let from = range.start - range.start % PAGE;
        let to = range.end.min(self.len);
        if from < to {
            let (from, len) = (from as usize, (to - from) as usize);
            let _ = self.map.advise_range(advice, from, len);
        }
    }

    /// Waits until the bytes of a range are on disk.
    pub(crate) fn sync(&self, range: Range<u32>) -> io::Result<()> {
        let to = range.end.min(self.len);
        #[cfg(test)]
        super::seen::SYNCED_UPTO.set(to);
        self.map.flush_range(range.start as usize, to.saturating_sub(range.start) as usize)
    }

    /// Lets go of the file: from now on there are zeros in its place, which nobody else sees, and what is written is
    /// lost. Borrowed words stay valid.
    pub(crate) fn let_go(&self) -> io::Result<()> {
        let (at, len) = (self.map.as_mut_ptr().cast(), self.len as usize);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the range is this mapping's own, from its beginning, and stays mapped and accessible throughout: the
        // system puts the new pages in place of the old ones in one step. Everybody accesses it as memory that somebody
        // else may write.
        match unsafe { libc::mmap(at, len, access, kind, -1, 0) } {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    #[inline]
    fn has(&self, at: u32, len: usize) -> bool {
        usize::try_from(self.len)
            .is_ok_and(|all| all.checked_sub(at as usize).is_some_and(|left| len <= left))
    }
}
