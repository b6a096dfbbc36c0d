use crate::ring::Gone;
use crate::sync::AtomicU64;

/// The memory of a segment. Offsets are in bytes from the beginning of the segment.
pub(crate) trait Region {
    /// The segment's id; part of every check.
    fn id(&self) -> u32;

    /// Length of the segment, a multiple of 8.
    fn size(&self) -> u32;

    /// The word at this offset, or `None` when there is none: not a multiple of 8, or past the end.
    fn word(&self, at: u32) -> Option<&AtomicU64>;

    /// Whether this memory was let go of.
    fn gone(&self) -> &Gone;

    /// Copies bytes in; `false`, and nothing is copied, when they do not fit.
    ///
    /// Only the owner of a reserved record may write to it.
    fn write(&self, at: u32, bytes: &[u8]) -> bool;

    /// Copies bytes out; `false`, and nothing is copied, when they are not all there.
    ///
    /// Only of a record whose word was read as committed.
    fn read(&self, at: u32, out: &mut [u8]) -> bool;
}
