//! The fields of page 1 that matter here. Big-endian, as SQLite's file format has them.

/// Where the journal-mode versions are, two bytes.
pub(crate) const VERSIONS: usize = 18;
/// Where the change counter is.
pub(crate) const COUNTER: usize = 24;
/// Where the length in pages is.
pub(super) const PAGES: usize = 28;
/// Where the number of the free list's first trunk is.
pub(crate) const FIRST_TRUNK: usize = 32;
/// Where the schema cookie is.
pub(super) const COOKIE: usize = 40;
/// The change counter for which the length in the header holds.
pub(super) const VALID_FOR: usize = 92;
/// Number of the SQLite that wrote page 1 last.
pub(super) const WRITER: usize = 96;

/// What page 1 says about the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Page size, in bytes.
    pub(crate) page_size: u32,
    /// Write version and read version: 1 a rollback mode, 2 WAL.
    pub(crate) versions: [u8; 2],
    /// Raised by every transaction that changes the file.
    pub(crate) counter: u32,
    /// Length in pages, where the header knows it.
    pub(crate) pages: Option<u32>,
    /// Raised by every change of the schema.
    pub(crate) cookie: u32,
}

/// Reads a number of 32 bits, or 0 where there are no bytes.
pub(crate) fn number(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    if let Some(found) = bytes.get(at..at + 4) {
        four.copy_from_slice(found);
    }
    u32::from_be_bytes(four)
}

/// Writes bytes, or nothing where there is no room for all.
pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

impl Header {
    /// Bytes that are read to know the fields.
    pub(crate) const LEN: usize = 100;

    /// Reads the beginning of page 1. `None`: these are not the first bytes of a database.
    pub(crate) fn parse(page: &[u8]) -> Option<Self> {
        if page.len() < Self::LEN || page.get(..16) != Some(b"SQLite format 3\0".as_slice()) {
            return None;
        }
        let page_size = match u16::from_be_bytes([*page.get(16)?, *page.get(17)?]) {
            1 => 65536,
            raw if raw >= 512 && raw.is_power_of_two() => u32::from(raw),
            _ => return None,
        };
        let counter = number(page, COUNTER);
        let pages = number(page, PAGES);
        Some(Self {
            page_size,
            versions: page.get(VERSIONS..VERSIONS + 2)?.try_into().ok()?,
            counter,
            pages: (pages > 0 && number(page, VALID_FOR) == counter).then_some(pages),
            cookie: number(page, COOKIE),
        })
    }

    /// How long a file with this page 1 is, if it has so many blocks, in bytes. Blocks tell it exactly, unless the pages
    /// are smaller than they: then page 1 tells where in the last block it ends. A file that was longer by whole blocks was
    /// allocated ahead.
    pub(crate) fn file_size(&self, extent: u64, block: u64) -> u64 {
        let told = self.pages.map(|pages| u64::from(pages) * u64::from(self.page_size));
        told.filter(|told| told.div_ceil(block) == extent).unwrap_or(extent * block)
    }

    /// Writes into an old page 1 what must not go back: the journal mode as it is now, a change counter and
    /// a schema cookie nobody has seen.
    pub(crate) fn publish(page: &mut [u8], versions: [u8; 2], counter: u32, cookie: u32) {
        // A length that held for another counter, by a writer that does not keep it, must not become valid.
        let valid = number(page, VALID_FOR) == number(page, COUNTER);
        let valid_for = if valid { counter } else { counter.wrapping_sub(1) };
        put(page, VERSIONS, &versions);
        put(page, COUNTER, &counter.to_be_bytes());
        put(page, VALID_FOR, &valid_for.to_be_bytes());
        put(page, COOKIE, &cookie.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Vec<u8> {
        let mut page = vec![0; 512];
        page[..16].copy_from_slice(b"SQLite format 3\0");
        page[16..18].copy_from_slice(&[16, 0]);
        page[18..20].copy_from_slice(&[1, 1]);
        page[27] = 7;
        page[31] = 3;
        page[43] = 9;
        page[95] = 7;
        page
    }

    #[test]
    fn fields_are_read() {
        let header = Header::parse(&page()).unwrap();
        assert_eq!(
            header,
            Header { page_size: 4096, versions: [1, 1], counter: 7, pages: Some(3), cookie: 9 }
        );
    }

    #[test]
    fn length_holds_only_for_its_counter() {
        let mut page = page();
        page[95] = 6;
        assert_eq!(Header::parse(&page).unwrap().pages, None);
    }

    #[test]
    fn largest_page_is_written_as_one() {
        let mut page = page();
        page[16..18].copy_from_slice(&[0, 1]);
        assert_eq!(Header::parse(&page).unwrap().page_size, 65536);
        page[16..18].copy_from_slice(&[0, 3]);
        assert_eq!(Header::parse(&page), None);
    }

    #[test]
    fn published_fields_are_read_back() {
        let mut page = page();
        Header::publish(&mut page, [2, 2], 70, 12);
        let header = Header::parse(&page).unwrap();
        assert_eq!((header.versions, header.counter, header.cookie), ([2, 2], 70, 12));
        assert_eq!(header.pages, Some(3), "the length holds for the new counter");
        page[95] = 6;
        Header::publish(&mut page, [1, 1], 80, 12);
        assert_eq!(Header::parse(&page).unwrap().pages, None, "a length that did not hold");
    }
}
