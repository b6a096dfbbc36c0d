//! The bytes of page 1 by which connections notice change (`format.md`, "Bytes that move forward").

use super::header::{COOKIE, COUNTER, PAGES, VALID_FOR, VERSIONS, WRITER, number, put};

/// What of page 1 must be known to move it forward.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PageOne {
    /// Journal mode versions: 1 rollback, 2 WAL.
    pub(crate) modes: [u8; 2],
    /// Change counter.
    pub(crate) counter: u32,
    /// Schema cookie.
    pub(crate) cookie: u32,
}

impl PageOne {
    /// The fewest bytes of page 1 that say it all.
    pub(crate) const LEN: usize = 100;

    /// Reads page 1, or its first 100 bytes. `None`: shorter than that.
    pub(crate) fn read(page: &[u8]) -> Option<Self> {
        page.get(..Self::LEN)?;
        Some(Self {
            modes: page.get(VERSIONS..VERSIONS + 2)?.try_into().ok()?,
            counter: number(page, COUNTER).max(number(page, VALID_FOR)),
            cookie: number(page, COOKIE),
        })
    }
}

/// Makes page 1 of another moment one that nobody has seen before.
///
/// The length in the header counts only while counter and valid-for agree; they do from now on, hence it
/// becomes `pages` if they did not.
pub(crate) fn move_forward(page: &mut [u8], modes: [u8; 2], counter: u32, cookie: u32, pages: u32) {
    if number(page, COUNTER) != number(page, VALID_FOR) {
        put(page, PAGES, &pages.to_be_bytes());
    }
    put(page, VERSIONS, &modes);
    put(page, COUNTER, &counter.to_be_bytes());
    put(page, VALID_FOR, &counter.to_be_bytes());
    put(page, COOKIE, &cookie.to_be_bytes());
}

/// Zeros the moving bytes, for a digest or a comparison.
pub(crate) fn forget_moving(page: &mut [u8]) {
    put(page, VERSIONS, &[0; 2]);
    for at in [COUNTER, COOKIE, VALID_FOR, WRITER] {
        put(page, at, &[0; 4]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_changes_only_the_moving_bytes() {
        let mut page: Vec<u8> = (0..200).collect();
        put(&mut page, VALID_FOR, &[24, 25, 26, 27]);
        let before = page.clone();
        move_forward(&mut page, [2, 2], 77, 88, 99);
        assert_eq!(PageOne::read(&page), Some(PageOne { modes: [2, 2], counter: 77, cookie: 88 }));
        assert_eq!(page[28..40], before[28..40]);
        let (mut a, mut b) = (page, before);
        forget_moving(&mut a);
        forget_moving(&mut b);
        assert_eq!(a, b);
    }

    #[test]
    fn a_length_that_did_not_count_is_set() {
        let mut page = vec![1; 100];
        put(&mut page, VALID_FOR, &[9, 9, 9, 9]);
        move_forward(&mut page, [2, 2], 5, 6, 7);
        assert_eq!(number(&page, PAGES), 7);
    }
}
