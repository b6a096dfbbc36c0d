//! Databases in memory that may be anything: what is compared, and the fuzz target's way in.

#[cfg(feature = "fuzzing")]
use std::collections::BTreeSet;

use super::pages::Past;
#[cfg(feature = "fuzzing")]
use super::{Both, Diff, Item, Schema, compare_pages, record::values};
use crate::error::Error;

/// The bytes of a file.
pub(super) struct Image(pub(super) Vec<u8>);

impl Past for Image {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn block(&self) -> u64 {
        512
    }

    fn read(&mut self, out: &mut [u8], offset: u64) -> Result<(), Error> {
        let rest = usize::try_from(offset).ok().and_then(|from| self.0.get(from..)).unwrap_or_default();
        out.fill(0);
        out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

/// Compares two databases of pages of 512 bytes; with `known`, as if the log told which pages differ. Panics if it takes more
/// than a few looks at each page, or finds a difference where there is none.
#[cfg(feature = "fuzzing")]
pub(crate) fn compare(old: &[u8], new: &[u8], known: bool) -> Option<Diff> {
    use super::pages::Pages;
    use dbrewind_core::Lsn;

    let pages = |bytes: &[u8]| Pages::new(Image(bytes.to_vec()));
    let (Ok(a), Ok(b)) = (pages(old), pages(new)) else { return None };
    let tables = |bytes: &[u8]| {
        let schema = pages(bytes).and_then(|mut pages| Schema::read(&mut pages));
        schema.map_or(0, |schema| schema.tables().count())
    };
    let tables = (tables(old) + tables(new)) as u64;
    let all = u64::from(a.count) + u64::from(b.count) + 2;
    let differing = || {
        let pages = (1..).zip(old.chunks(512).zip(new.chunks(512)));
        pages.filter(|(_, (old, new))| old != new).map(|(page, _)| page).collect::<BTreeSet<u32>>()
    };
    let known = known && a.size == 512 && b.size == 512;
    let mut both = Both { a, b, changed: known.then(differing) };
    // As many as the name is long: of the same table the same, and some that are wrong.
    let key_len = |item: &Item| Ok(1 + item.name.len() % 3);
    let found = compare_pages(&mut both, (Lsn::new(1), Lsn::new(2)), (&key_len, &key_len));
    let read = both.a.read + both.b.read;
    assert!(read <= (10 + 6 * tables) * all, "{read} pages were read, of {all} with {tables} tables");
    let found = found.ok()?;
    assert_eq!(found.pages_read, read);
    assert!(old != new || found.is_empty(), "{found}");
    let _ = found.to_string();
    Some(found)
}

/// Reads the values of a record: any number of them are the first ones of all.
#[cfg(feature = "fuzzing")]
pub(crate) fn record(bytes: &[u8], encoding: u32) {
    let all = values(bytes, usize::MAX, encoding);
    for most in 0..4 {
        let some = values(bytes, most, encoding);
        let Some((all, raw)) = &all else { continue };
        let first = format!("{:?}", all.get(..most.min(all.len())).unwrap_or_default());
        // Not compared as numbers, of which some are not equal to themselves.
        assert!(some.is_some_and(|(some, its)| format!("{some:?}") == first && raw.starts_with(&its)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::btree::TreePage;
    use super::super::pages::Pages;
    use super::super::schema::Schema;
    use super::*;
    use dbrewind_core::Code;
    use std::collections::BTreeSet;

    const PAGE: usize = 512;

    /// So many empty pages of 512 bytes, with a header; page 1 is a leaf without rows.
    fn database(pages: u8) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(pages) * PAGE];
        bytes[..16].copy_from_slice(b"SQLite format 3\0");
        bytes[16..18].copy_from_slice(&[2, 0]);
        (bytes[18], bytes[19], bytes[31], bytes[59]) = (1, 1, pages, 1);
        bytes[100] = 13;
        bytes
    }

    /// One row of page 1, of `len` bytes, that goes on at a page.
    fn with_long_row(bytes: &mut [u8], len: [u8; 5], overflow: u8) {
        let local = 39; // what SQLite leaves of a row of that length on a page of this one
        let cell = PAGE - (5 + 1 + local + 4);
        bytes[104] = 1;
        bytes[108..110].copy_from_slice(&(cell as u16).to_be_bytes());
        bytes[cell..cell + 5].copy_from_slice(&len);
        bytes[cell + 5] = 1;
        bytes[PAGE - 1] = overflow;
    }

    /// 2^31 bytes, the longest that is believed; as a number of SQLite's.
    const LONGEST: [u8; 5] = [0x88, 0x80, 0x80, 0x80, 0x00];

    #[test]
    fn hazard_an_overflow_chain_in_a_circle_is_refused_at_its_second_turn() {
        for (from, to) in [(2, 2), (3, 2), (3, 3)] {
            let mut bytes = database(3);
            with_long_row(&mut bytes, LONGEST, 2);
            bytes[PAGE + 3] = from;
            bytes[2 * PAGE + 3] = to;
            let mut pages = Pages::new(Image(bytes)).unwrap();
            let error = Schema::read(&mut pages).err().unwrap();
            assert_eq!(error.code(), Code::Unsupported);
            assert!(error.to_string().contains("is part of a long value twice"), "{error}");
            // The header, page 1, and each page of the circle.
            assert!(pages.read <= 4, "{} pages were read", pages.read);
            let rows = TreePage::read(&mut pages, 1).unwrap().rows().unwrap();
            let before = pages.read;
            let error = rows[0].is_on(&mut pages, &BTreeSet::from([9])).unwrap_err();
            assert!(error.to_string().contains("is part of a long value twice"), "{error}");
            assert!(pages.read - before <= 2, "{} pages were read", pages.read - before);
        }
    }

    #[test]
    fn hazard_a_page_of_two_long_values_is_refused() {
        let mut bytes = database(2);
        with_long_row(&mut bytes, [0x80, 0x80, 0x80, 0x84, 0x00], 2);
        let mut pages = Pages::new(Image(bytes.clone())).unwrap();
        assert!(pages.records(1).is_ok());
        // The same row once more.
        bytes[104] = 2;
        bytes.copy_within(108..110, 110);
        let mut pages = Pages::new(Image(bytes)).unwrap();
        let error = pages.records(1).unwrap_err();
        assert!(error.to_string().contains("page 2 is part of a long value twice"), "{error}");
    }

    #[test]
    fn hazard_rows_that_overlap_take_no_more_memory_than_their_page() {
        let mut bytes = database(2);
        // A leaf with 100 rows, which are all the same 300 bytes.
        bytes[PAGE] = 13;
        bytes[PAGE + 4] = 100;
        for row in 0..100 {
            bytes[PAGE + 8 + 2 * row + 1] = 208;
        }
        bytes[PAGE + 208..PAGE + 211].copy_from_slice(&[0x82, 0x2c, 1]);
        let mut pages = Pages::new(Image(bytes)).unwrap();
        let error = TreePage::read(&mut pages, 2).unwrap().rows().err().unwrap();
        assert!(error.to_string().contains("rows of page 2 overlap"), "{error}");
    }

    #[test]
    fn hazard_a_tree_that_names_more_pages_than_there_are_is_refused() {
        let mut bytes = database(2);
        // An inner page with 200 children, which are all itself.
        bytes[PAGE] = 5;
        bytes[PAGE + 4] = 200;
        bytes[PAGE + 11] = 2;
        for child in 0..200 {
            bytes[PAGE + 12 + 2 * child + 1] = 8;
        }
        let mut pages = Pages::new(Image(bytes)).unwrap();
        let error = pages.records(2).unwrap_err();
        assert!(error.to_string().contains("a table goes in a circle"), "{error}");
        assert_eq!(pages.read, 2, "once the header, once page 2");
    }
}
