use std::io;
use std::ops::Range;

use crate::format::segment::HEADER_LEN;
use crate::map::Mapping;
use crate::ring::{Gone, Region};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A segment, mapped.
#[derive(Debug)]
pub(crate) struct Segment {
    id: u32,
    mapping: Mapping,
    /// The next record past this offset asks for more pages ahead.
    ask_at: AtomicU32,
    gone: Gone,
}

impl Segment {
    /// Where the first record stands.
    pub(crate) const FIRST: u32 = HEADER_LEN as u32;
    /// A segment that takes less than this is too short-lived to be worth a thread.
    const ASK_FIRST: u32 = 1 << 20;

    pub(super) fn new(id: u32, mapping: Mapping) -> Self {
        Self { id, mapping, ask_at: AtomicU32::new(Self::ASK_FIRST), gone: Gone::new() }
    }

    /// Has the system make pages present, see [`Mapping::populate`].
    pub(crate) fn populate(&self, range: Range<u32>) {
        if !self.is_gone() {
            self.mapping.populate(range);
        }
    }

    /// Has the system make large pages present, see [`Mapping::populate_large`].
    pub(crate) fn populate_large(&self, range: Range<u32>) {
        if !self.is_gone() {
            self.mapping.populate_large(range);
        }
    }

    /// Has the system take large pages for a range, see [`Mapping::in_large_pages`].
    pub(crate) fn in_large_pages(&self, range: Range<u32>) {
        if !self.is_gone() {
            self.mapping.in_large_pages(range);
        }
    }

    /// Has the system make pages present for reading, see [`Mapping::load`].
    pub(crate) fn load(&self, range: Range<u32>) {
        if !self.is_gone() {
            self.mapping.load(range);
        }
    }

    /// Waits until a range is on disk.
    pub(crate) fn sync(&self, range: Range<u32>) -> io::Result<()> {
        self.mapping.sync(range)
    }

    /// Lets go of the file, which was sealed. What others still read here are zeros, which [`is_gone`](Self::is_gone)
    /// tells them, and what they append is lost, of which they learn likewise.
    pub(crate) fn let_go(&self) -> io::Result<()> {
        self.gone.let_go(|| self.mapping.let_go())
    }

    /// Whether what was read here until now may be zeros instead of what stands in the log, and what was appended may
    /// be lost.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_up()
    }

    /// Whether the log has come so far that pages should be asked for; then sets the next such place.
    #[inline]
    pub(crate) fn wants_pages(&self, at: u32, step: u32) -> bool {
        // Relaxed, here and below: a wish that is made twice or a little late does no harm.
        at >= self.ask_at.load(Ordering::Relaxed) && {
            self.ask_at.store(at.saturating_add(step), Ordering::Relaxed);
            true
        }
    }
}

impl Region for Segment {
    #[inline]
    fn id(&self) -> u32 {
        self.id
    }

    #[inline]
    fn size(&self) -> u32 {
        self.mapping.len()
    }

    #[inline]
    fn word(&self, at: u32) -> Option<&AtomicU64> {
        self.mapping.word(at)
    }

    #[inline]
    fn gone(&self) -> &Gone {
        &self.gone
    }

    #[inline]
    fn write(&self, at: u32, bytes: &[u8]) -> bool {
        self.mapping.write(at, bytes)
    }

    #[inline]
    fn read(&self, at: u32, out: &mut [u8]) -> bool {
        self.mapping.read(at, out)
    }
}
