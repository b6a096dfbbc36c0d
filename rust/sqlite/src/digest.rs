//! A hash over what a database holds, for comparing its state before and after.

use xxhash_rust::xxh3::Xxh3;

use crate::file::forget_moving;

/// xxh3-128 over the extent (u64, little-endian) and all pages in order, moving bytes of page 1 as zeros.
pub(crate) struct Digester {
    hash: Xxh3,
    first: bool,
}

impl Digester {
    /// Begins with the number of pages.
    pub(crate) fn new(extent: u64) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&extent.to_le_bytes());
        Self { hash, first: true }
    }

    /// Adds the next page. The first one's moving bytes are zero afterwards.
    pub(crate) fn page(&mut self, page: &mut [u8]) {
        if std::mem::take(&mut self.first) {
            forget_moving(page);
        }
        self.hash.update(page);
    }

    /// The digest.
    pub(crate) fn finish(&self) -> [u8; 16] {
        self.hash.digest128().to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(pages: &[[u8; 100]]) -> [u8; 16] {
        let mut digester = Digester::new(pages.len() as u64);
        for page in pages {
            digester.page(&mut page.clone());
        }
        digester.finish()
    }

    #[test]
    fn only_the_moving_bytes_do_not_count() {
        let mut pages = [[7; 100], [8; 100]];
        let before = digest(&pages);
        for at in [18, 19, 24, 27, 40, 43, 92, 95, 96, 99] {
            pages[0][at] = 1;
            assert_eq!(digest(&pages), before, "byte {at}");
        }
        pages[0][28] = 1;
        assert_ne!(digest(&pages), before);
        pages[0][28] = 7;
        pages[1][24] = 1;
        assert_ne!(digest(&pages), before);
    }
}
