//! What is at the journal's place beside a database, and how it is laid out. Written by `guard`.

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// A header has a sector to itself.
pub(super) const SECTOR: usize = 512;
/// Where SQLite's lock bytes are. The page there is never used, and a journal must not contain it: SQLite
/// would take it for the end of the journal.
const PENDING_BYTE: u64 = 0x4000_0000;

/// The journal's path for a database.
pub(crate) fn path_for(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-journal");
    PathBuf::from(path)
}

/// Whether a file that is at the journal's place would be played back, if no writer is alive.
pub(crate) fn is_hot(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() == 0 => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    let mut first = [0];
    match File::open(path).and_then(|file| file.read_at(&mut first, 0)) {
        Ok(read) => Ok(read == 1 && first != [0]),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether what is at the journal's place is the hot guard of the rewind with this change counter, and not
/// the journal of a transaction. A file that cannot be read may be it.
pub(crate) fn is_guard(path: &Path, counter: u32) -> bool {
    let mut start = [0; 16];
    match File::open(path).and_then(|file| file.read_exact_at(&mut start, 0)) {
        Ok(()) => start.first() != Some(&0) && start.ends_with(&nonce(counter).to_be_bytes()),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof),
    }
}

/// Where the checksums of a guard start from: by this number it is known again. The factor spreads the
/// counters of one file, which lie closer together than what the bytes of a page may sum up to.
pub(super) fn nonce(counter: u32) -> u32 {
    counter.wrapping_mul(0x9e37_79b1)
}

/// A number nobody can foresee.
pub(crate) fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// What stands at the beginning of a journal.
pub(super) struct JournalHeader {
    pub(super) records: u32,
    pub(super) nonce: u32,
    /// The database's length in pages, to which a playback cuts or grows it.
    pub(super) pages: u32,
    pub(super) page_size: u32,
}

impl JournalHeader {
    pub(super) fn encode(&self) -> [u8; SECTOR] {
        let mut fields = MAGIC.to_vec();
        for word in [self.records, self.nonce, self.pages, SECTOR as u32, self.page_size] {
            fields.extend_from_slice(&word.to_be_bytes());
        }
        let mut header = [0; SECTOR];
        for (place, byte) in header.iter_mut().zip(fields) {
            *place = byte;
        }
        header
    }
}

/// Whether a journal of pages of this size may contain this page.
pub(super) fn may_hold(page: u32, page_size: u32) -> bool {
    u64::from(page) != PENDING_BYTE / u64::from(page_size) + 1
}

/// A page's checksum is SQLite's: every 200th byte, counted from the end, but not the first.
pub(super) fn checksum(nonce: u32, image: &[u8]) -> u32 {
    let odd = image.len() % 200;
    let start = if odd == 0 { 200 } else { odd };
    let sampled = image.get(start..).unwrap_or_default().chunks(200).filter_map(<[u8]>::first);
    sampled.fold(nonce, |sum, &byte| sum.wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_takes_every_two_hundredth_byte_but_not_the_first() {
        let mut image = vec![0; 512];
        image[312] = 5;
        image[112] = 7;
        image[0] = 100;
        assert_eq!(checksum(1, &image), 13);
        let sqlites = |image: &[u8]| {
            let mut at = image.len() as i64 - 200;
            let mut sum = 9_u32;
            while at > 0 {
                sum += u32::from(image[at as usize]);
                at -= 200;
            }
            sum
        };
        for len in [512, 600, 1024, 4096, 65536] {
            let image: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
            assert_eq!(checksum(9, &image), sqlites(&image), "{len}");
        }
    }
}
