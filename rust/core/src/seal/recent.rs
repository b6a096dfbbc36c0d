//! What was read of sealed segments last, kept for the next reader.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Digest, FARTHEST, Sealed};

/// Bytes of indexes that are kept, but for [`AT_LEAST`] of them.
const INDEXES: usize = 64 << 20;
/// How many indexes are kept however large they are: those of all segments that one body leans on, and of a neighbour. With fewer each body
/// could have several unpacked again, each of which takes as long as thousands of bodies.
const AT_LEAST: usize = FARTHEST as usize + 1;
/// Bytes of digests that are kept.
const DIGESTS: usize = 16 << 20;
/// How many frames are kept, and how many bytes of them; one at least.
const FRAMES: usize = 64;
const CONTENT: usize = 4 << 20;

/// Sealed segments that are open.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The one that was used last is the last one.
    open: Mutex<Vec<Arc<Sealed>>>,
    /// Their bytes, and digests by segment.
    digests: Mutex<(usize, BTreeMap<u32, Arc<Digest>>)>,
    /// Content of their frames.
    pub(crate) frames: Frames,
}

impl Recent {
    /// The segment, if it is open.
    pub(crate) fn get(&self, id: u32) -> Option<Arc<Sealed>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().rposition(|sealed| sealed.id() == id)?;
        let found = open.remove(at);
        open.push(Arc::clone(&found));
        Some(found)
    }

    /// Closes these segments' files, which others have taken the place of.
    pub(crate) fn forget(&self, ids: std::ops::Range<u32>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|sealed| !ids.contains(&sealed.id()));
    }

    /// Closes the segments below this one.
    pub(crate) fn forget_below(&self, id: u32) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|sealed| sealed.id() >= id);
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = digests.1.split_off(&id);
        *digests = (kept.values().map(|digest| digest.weight()).sum(), kept);
    }

    /// The segment's digest, if it was kept.
    pub(crate) fn digest(&self, id: u32) -> Option<Arc<Digest>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).1.get(&id).cloned()
    }

    /// Keeps a digest, if there is room for it.
    pub(crate) fn put_digest(&self, id: u32, digest: Digest) -> Arc<Digest> {
        let digest = Arc::new(digest);
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = digest.weight();
        if digests.0 + weight <= DIGESTS && digests.1.insert(id, Arc::clone(&digest)).is_none() {
            digests.0 += weight;
        }
        digest
    }

    /// Keeps a segment, in place of those that were not used for longest.
    pub(crate) fn put(&self, sealed: Sealed) -> Arc<Sealed> {
        let sealed = Arc::new(sealed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.id() != sealed.id());
        open.push(Arc::clone(&sealed));
        let weights: Vec<usize> = open.iter().map(|sealed| sealed.index().weight()).collect();
        open.drain(..superfluous(&weights));
        sealed
    }
}

/// How many of these indexes, the one that was used last the last one, are closed.
fn superfluous(weights: &[usize]) -> usize {
    let mut left: usize = weights.iter().sum();
    let may_go = weights.len().saturating_sub(AT_LEAST);
    let goes = |weight: &&usize| {
        let too_many = left > INDEXES;
        left -= **weight;
        too_many
    };
    weights.iter().take(may_go).take_while(goes).count()
}

/// Which frame: its segment's number, the hash of the index of that one's file, and its place in there. A segment may
/// be sealed again, and its old file still be open.
pub(super) type FrameOf = (u32, u64, u32);

#[derive(Debug)]
struct Kept {
    of: FrameOf,
    content: Arc<Vec<u8>>,
}

/// Content of frames, checked.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The one that was used last is the last one.
    kept: Mutex<Vec<Kept>>,
}

impl Frames {
    pub(super) fn get(&self, of: FrameOf) -> Option<Arc<Vec<u8>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().rposition(|it| it.of == of)?;
        let found = kept.remove(at);
        let content = Arc::clone(&found.content);
        kept.push(found);
        Some(content)
    }

    pub(super) fn put(&self, of: FrameOf, content: Vec<u8>) -> Arc<Vec<u8>> {
        let content = Arc::new(content);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Kept { of, content: Arc::clone(&content) });
        let mut bytes: usize = kept.iter().map(|it| it.content.len()).sum();
        while kept.len() > 1 && (kept.len() > FRAMES || bytes > CONTENT) {
            bytes -= kept.remove(0).content.len();
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_indexes_are_kept_up_to_their_bytes_and_large_ones_as_many_as_one_body_needs() {
        let mib = 1 << 20;
        assert_eq!(superfluous(&[]), 0);
        assert_eq!(superfluous(&[2 * mib; 32]), 0);
        assert_eq!(superfluous(&[2 * mib; 33]), 1);
        assert_eq!(superfluous(&[14 * mib; AT_LEAST]), 0, "a body and what it leans on");
        assert_eq!(superfluous(&[14 * mib; AT_LEAST + 3]), 3);
        let mut one_large = [mib; 20];
        one_large[0] = 60 * mib;
        assert_eq!(superfluous(&one_large), 1, "the one that was not used for longest");
    }
}
