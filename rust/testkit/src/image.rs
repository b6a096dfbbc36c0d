//! The logical content of a database, page for page, as a reader sees it.

use std::path::Path;

use rusqlite::Connection;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes of page 1 that move forward in a rewind: journal mode versions, change counter, schema cookie,
/// version-valid-for, number of the SQLite that wrote (`rust/docs/format.md`, "Bytes that move forward").
pub const MOVING: [std::ops::Range<usize>; 4] = [18..20, 24..28, 40..44, 92..100];

/// All pages of a database at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// Bytes per page.
    pub page_size: usize,
    /// The pages, one after the other, with the moving bytes zeroed.
    pub bytes: Vec<u8>,
    /// The schema cookie, which `bytes` leaves out.
    pub cookie: u32,
}

impl Image {
    /// Reads every page through a connection, in one read transaction (its own, or the open one).
    ///
    /// Goes through the connection's page cache: a stale cache gives a stale image.
    ///
    /// # Errors
    /// SQLite's, for example when the database is locked.
    pub fn read(connection: &mut Connection, schema: &str) -> rusqlite::Result<Self> {
        // Before a connection has read something, it does not know that the page size has changed.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        let page_size: u32 = connection.pragma_query_value(Some(schema), "page_size", |row| row.get(0))?;
        let data = connection.serialize(schema)?;
        Ok(Self::of_bytes(page_size as usize, data.to_vec()))
    }

    /// An image from the raw bytes of a whole database.
    #[must_use]
    pub fn of_bytes(page_size: usize, mut bytes: Vec<u8>) -> Self {
        let mut cookie = 0;
        if bytes.len() >= 100 {
            cookie = u32::from_be_bytes(bytes[40..44].try_into().expect("four bytes"));
            for range in MOVING {
                bytes[range].fill(0);
            }
        }
        Self { page_size, bytes, cookie }
    }

    /// Reads what [`Image::dump`] wrote.
    #[must_use]
    pub fn load(path: &Path, page_size: usize) -> Self {
        Self::of_bytes(page_size, std::fs::read(path).expect("image file"))
    }

    /// Writes the pages to a file, which is not a database to be opened: its moving bytes are zero.
    pub fn dump(&self, path: &Path) {
        std::fs::write(path, &self.bytes).expect("image file");
    }

    /// How many pages.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.bytes.len() / self.page_size.max(1)
    }

    /// A hash over extent and pages, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{:032x}", xxh3_128(&self.bytes) ^ self.bytes.len() as u128)
    }

    /// The same with the leaves of the free list zeroed: pages whose content means nothing.
    ///
    /// SQLite neither journals nor always writes them, so that a rolled back transaction may leave them changed in
    /// the file, and a connection's cache may hold others than the file does.
    #[must_use]
    pub fn without_free_pages(&self) -> Self {
        let mut image = self.clone();
        let word = |at: usize| {
            let bytes = self.bytes.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?) as usize)
        };
        let mut trunk = word(32).unwrap_or(0);
        // A damaged list may be a circle.
        for _ in 0..self.pages() {
            if trunk == 0 || trunk > self.pages() {
                break;
            }
            let start = (trunk - 1) * self.page_size;
            let leaves = word(start + 4).unwrap_or(0).min(self.page_size / 4 - 2);
            for leaf in (0..leaves).filter_map(|n| word(start + 8 + 4 * n)) {
                if let Some(end) = leaf.checked_mul(self.page_size).filter(|end| *end <= self.bytes.len()) {
                    image.bytes[end.saturating_sub(self.page_size)..end].fill(0);
                }
            }
            trunk = word(start).unwrap_or(0);
        }
        image
    }

    /// What differs, in words; `None` when nothing does.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self == &(Self { cookie: self.cookie, ..other.clone() }) {
            return None;
        }
        let mut text = format!(
            "{} pages of {} bytes expected, {} of {} found",
            self.pages(),
            self.page_size,
            other.pages(),
            other.page_size
        );
        if self.page_size == other.page_size {
            let pages = self.bytes.chunks(self.page_size).zip(other.bytes.chunks(self.page_size));
            let different: Vec<String> = pages
                .enumerate()
                .filter_map(|(index, (ours, theirs))| {
                    let at = ours.iter().zip(theirs).position(|(a, b)| a != b)?;
                    let count = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
                    Some(format!("page {} at byte {at} ({count} bytes)", index + 1))
                })
                .collect();
            text +=
                &format!("; {} differ: {}", different.len(), different[..different.len().min(12)].join(", "));
        }
        Some(text)
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({} x {}, {})", self.pages(), self.page_size, self.digest())
    }
}

/// Reads the main database's image. See [`Image::read`].
///
/// # Errors
/// SQLite's.
pub fn main_image(connection: &mut Connection) -> rusqlite::Result<Image> {
    Image::read(connection, "main")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_is_named() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("create table t(a); insert into t values('x')").unwrap();
        let before = main_image(&mut connection).unwrap();
        connection.execute_batch("update t set a = 'y'").unwrap();
        let after = main_image(&mut connection).unwrap();
        assert!(before.difference(&after).unwrap().contains("1 differ: page 2"));
        assert_ne!(before.digest(), after.digest());
        connection.execute_batch("update t set a = 'x'").unwrap();
        assert_eq!(before.difference(&main_image(&mut connection).unwrap()), None);
    }

    #[test]
    fn free_pages_do_not_count() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("create table t(a); insert into t values(zeroblob(50000)); delete from t")
            .unwrap();
        let image = main_image(&mut connection).unwrap();
        let mut other = image.clone();
        let last = other.bytes.len() - 1;
        other.bytes[last] ^= 1;
        assert!(image.difference(&other).is_some());
        assert_eq!(image.without_free_pages().difference(&other.without_free_pages()), None);
        other.bytes[5000] ^= 1;
        assert!(image.without_free_pages().difference(&other.without_free_pages()).is_some());
    }
}
