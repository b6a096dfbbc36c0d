//! The bytes of page 1 by which connections notice change (`format.md`, "Bytes that move forward").

const MODES: std::ops::Range<usize> = 18..20;
const COUNTER: std::ops::Range<usize> = 24..28;
const LENGTH: std::ops::Range<usize> = 28..32;
const COOKIE: std::ops::Range<usize> = 40..44;
const VALID_FOR: std::ops::Range<usize> = 92..96;

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

fn number(page: &[u8], at: std::ops::Range<usize>) -> Option<u32> {
    page.get(at)?.try_into().ok().map(u32::from_be_bytes)
}

fn put(page: &mut [u8], at: std::ops::Range<usize>, bytes: &[u8]) {
    if let Some(place) = page.get_mut(at)
        && place.len() == bytes.len()
    {
        place.copy_from_slice(bytes);
    }
}

impl PageOne {
    /// The fewest bytes of page 1 that say it all.
    pub(crate) const LEN: usize = 100;

    /// Reads page 1, or its first 100 bytes. `None`: shorter than that.
    pub(crate) fn read(page: &[u8]) -> Option<Self> {
        page.get(..Self::LEN)?;
        Some(Self {
            modes: page.get(MODES)?.try_into().ok()?,
            counter: number(page, COUNTER)?.max(number(page, VALID_FOR)?),
            cookie: number(page, COOKIE)?,
        })
    }
}

/// Makes page 1 of another moment one that nobody has seen before.
///
/// The length in the header counts only while counter and valid-for agree; they do from now on, hence it
/// becomes `pages` if they did not.
pub(crate) fn move_forward(page: &mut [u8], modes: [u8; 2], counter: u32, cookie: u32, pages: u32) {
    if number(page, COUNTER) != number(page, VALID_FOR) {
        put(page, LENGTH, &pages.to_be_bytes());
    }
    put(page, MODES, &modes);
    put(page, COUNTER, &counter.to_be_bytes());
    put(page, VALID_FOR, &counter.to_be_bytes());
    put(page, COOKIE, &cookie.to_be_bytes());
}

/// Zeros the moving bytes, for a digest or a comparison.
pub(crate) fn forget_moving(page: &mut [u8]) {
    for at in [MODES, COUNTER, COOKIE, VALID_FOR] {
        if let Some(place) = page.get_mut(at) {
            place.fill(0);
        }
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
        assert_eq!(number(&page, LENGTH), Some(7));
    }
}
