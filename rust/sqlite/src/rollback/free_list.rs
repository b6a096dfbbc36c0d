//! The list of free pages. SQLite neither journals nor restores its leaves: whoever writes there and rolls back, or is
//! cut off, leaves them changed. A moment at which such a page was in use needs its content saved before that,
//! when the page becomes free.

use std::ops::RangeInclusive;

use crate::ffi::VfsError;
use crate::file::{self, Header};
use crate::file::{Content, read_padded};

/// The list as page 1 of the file says.
#[derive(Clone, Copy, Debug)]
struct FreeList {
    page_size: u32,
    /// Pages of the file: no number above is one.
    pages: u64,
    first: u32,
}

impl FreeList {
    /// Reads page 1. `None` when it is not one.
    fn read(file: &mut dyn Content) -> Result<Option<Self>, VfsError> {
        let mut page = [0; Header::LEN];
        read_padded(file, &mut page, 0)?;
        let Some(found) = Header::parse(&page) else { return Ok(None) };
        let pages = file.size()? / u64::from(found.page_size);
        let first = file::number(&page, file::FIRST_TRUNK);
        Ok(Some(Self { page_size: found.page_size, pages, first }))
    }

    /// The blocks that a page lies in.
    fn blocks(&self, page: u64, block: u32) -> RangeInclusive<u64> {
        let start = (page - 1) * u64::from(self.page_size);
        let last = start + u64::from(self.page_size) - 1;
        start / u64::from(block) + 1..=last / u64::from(block) + 1
    }

    /// The leaves of the trunks from the first one on, as long as `wanted` says so of a trunk.
    ///
    /// SQLite adds a page to the first trunk, or in front of it as a new one: pages that became free in a transaction
    /// are those of the first trunks, which that transaction wrote.
    fn leaves(
        &self,
        file: &mut dyn Content,
        mut wanted: impl FnMut(u64) -> bool,
    ) -> Result<Vec<u64>, VfsError> {
        let mut leaves = Vec::new();
        let mut trunk = vec![0; self.page_size as usize];
        let mut next = u64::from(self.first);
        // A damaged list may be a circle.
        for _ in 0..self.pages {
            if !(2..=self.pages).contains(&next) || !wanted(next) {
                break;
            }
            read_padded(file, &mut trunk, (next - 1) * u64::from(self.page_size))?;
            let count = file::number(&trunk, 4).min(self.page_size / 4 - 2) as usize;
            let named = (0..count).map(|leaf| u64::from(file::number(&trunk, 8 + 4 * leaf)));
            leaves.extend(named.filter(|page| (2..=self.pages).contains(page)));
            next = u64::from(file::number(&trunk, 0));
        }
        Ok(leaves)
    }
}

/// The blocks in which the list's leaves lie: those of the trunks from the first one on, as long as `wanted` says so of
/// the blocks that a trunk lies in. None where page 1 is not one.
pub(super) fn free_blocks(
    file: &mut dyn Content,
    block: u32,
    mut wanted: impl FnMut(RangeInclusive<u64>) -> bool,
) -> Result<Vec<u64>, VfsError> {
    let Some(list) = FreeList::read(file)? else { return Ok(Vec::new()) };
    let leaves = list.leaves(file, |trunk| wanted(list.blocks(trunk, block)))?;
    Ok(leaves.into_iter().flat_map(|leaf| list.blocks(leaf, block)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl Content for Bytes {
        fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), VfsError> {
            buffer.copy_from_slice(&self.0[offset as usize..offset as usize + buffer.len()]);
            Ok(())
        }

        fn size(&mut self) -> Result<u64, VfsError> {
            Ok(self.0.len() as u64)
        }
    }

    fn file(trunks: &[(usize, u32, &[u32])]) -> Bytes {
        let mut bytes = vec![0; 8 * 512];
        bytes[..16].copy_from_slice(b"SQLite format 3\0");
        bytes[16] = 2;
        bytes[35] = trunks.first().map_or(0, |(page, ..)| *page as u8);
        for (page, next, leaves) in trunks {
            let words = [&[*next, leaves.len() as u32], *leaves].concat();
            for (index, word) in words.iter().enumerate() {
                let at = (page - 1) * 512 + 4 * index;
                bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
            }
        }
        Bytes(bytes)
    }

    #[test]
    fn leaves_of_the_wanted_trunks_are_found() {
        let mut file = file(&[(3, 5, &[4, 6]), (5, 0, &[7])]);
        let list = FreeList::read(&mut file).unwrap().unwrap();
        assert_eq!(list.leaves(&mut file, |_| true).unwrap(), [4, 6, 7]);
        assert_eq!(list.leaves(&mut file, |trunk| trunk == 3).unwrap(), [4, 6]);
        assert_eq!(list.leaves(&mut file, |_| false).unwrap(), []);
        assert_eq!(
            free_blocks(&mut file, 256, |mut trunk| trunk.any(|key| key == 6)).unwrap(),
            [7, 8, 11, 12]
        );
        assert_eq!((list.blocks(3, 1024), list.blocks(3, 512), list.blocks(3, 256)), (2..=2, 3..=3, 5..=6));
    }

    #[test]
    fn a_damaged_list_ends() {
        let mut file = file(&[(3, 3, &[4, 0, 1, 99])]);
        let list = FreeList::read(&mut file).unwrap().unwrap();
        assert_eq!(list.leaves(&mut file, |_| true).unwrap(), [4; 8]);
        let mut none = file;
        none.0[0] = 0;
        assert!(FreeList::read(&mut none).unwrap().is_none());
        assert_eq!(free_blocks(&mut none, 512, |_| true).unwrap(), []);
    }
}
