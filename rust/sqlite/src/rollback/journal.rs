//! The guard of a rewind: a genuine rollback journal that holds the *target's* pages.
//!
//! From the moment its header is there, any SQLite that opens the database finishes the rewind, whatever
//! becomes of us. Before that moment it is a file that SQLite ignores.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// The header has a sector to itself.
const SECTOR: u32 = 512;
/// Where SQLite's lock bytes are. The page there is never used, and a journal must not contain it: SQLite
/// would take it for the end of the journal.
const PENDING_BYTE: u64 = 0x4000_0000;
/// How much is collected before it is written.
const CHUNK: usize = 1 << 20;

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
fn nonce(counter: u32) -> u32 {
    counter.wrapping_mul(0x9e37_79b1)
}

/// A number nobody can foresee.
pub(crate) fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// A journal being written.
#[derive(Debug)]
pub(crate) struct Guard {
    file: File,
    path: PathBuf,
    page_size: u32,
    nonce: u32,
    records: u32,
    /// Where `pending` goes.
    offset: u64,
    pending: Vec<u8>,
}

impl Guard {
    /// Begins a journal of pages of this size. What was at its place is gone: the caller knows that it was
    /// not hot. It gets the database's owner and mode, so that everybody who can read the database can
    /// finish the rewind. `counter` is the change counter after it. `pending` is memory to use, empty.
    pub(crate) fn begin(database: &Path, page_size: u32, counter: u32, pending: Vec<u8>) -> io::Result<Self> {
        let path = path_for(database);
        let like = std::fs::metadata(database)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(like.mode() & 0o777);
        let file = options.open(&path)?;
        let ours = file.metadata()?;
        if (ours.uid(), ours.gid()) != (like.uid(), like.gid()) {
            // Only root can; for others it is as SQLite's own journals are.
            let _ = fchown(&file, Some(like.uid()), Some(like.gid()));
        }
        let nonce = nonce(counter);
        Ok(Self { file, path, page_size, nonce, records: 0, offset: u64::from(SECTOR), pending })
    }

    /// Adds a page as it is to become. `image` is a whole page.
    pub(crate) fn add(&mut self, page: u32, image: &[u8]) -> io::Result<()> {
        if u64::from(page) == PENDING_BYTE / u64::from(self.page_size) + 1 {
            return Ok(());
        }
        self.pending.extend_from_slice(&page.to_be_bytes());
        self.pending.extend_from_slice(image);
        self.pending.extend_from_slice(&checksum(self.nonce, image).to_be_bytes());
        self.records += 1;
        if self.pending.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.pending, self.offset)?;
        self.offset += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Makes it hot: from now on the rewind will happen. `pages`: the database's length at the target.
    ///
    /// With `sync`, body and header are made durable, in this order: a header before its body would let a
    /// power cut play back a part.
    pub(crate) fn commit(&mut self, pages: u32, sync: bool) -> io::Result<()> {
        self.flush()?;
        if sync {
            self.file.sync_data()?;
        }
        let mut header = [0; SECTOR as usize];
        let mut fields = MAGIC.to_vec();
        for word in [self.records, self.nonce, pages, SECTOR, self.page_size] {
            fields.extend_from_slice(&word.to_be_bytes());
        }
        for (place, byte) in header.iter_mut().zip(fields) {
            *place = byte;
        }
        self.file.write_all_at(&header, 0)?;
        if sync {
            self.file.sync_data()?;
            sync_folder(&self.path)?;
        }
        Ok(())
    }

    /// Takes the journal away: done, or given up before it was committed. Gives the memory back.
    pub(crate) fn remove(self, sync: bool) -> io::Result<Vec<u8>> {
        std::fs::remove_file(&self.path)?;
        if sync {
            sync_folder(&self.path)?;
        }
        Ok(self.pending)
    }
}

fn sync_folder(of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(folder) => File::open(folder)?.sync_data(),
        None => Ok(()),
    }
}

/// SQLite's: every 200th byte, counted from the end.
fn checksum(nonce: u32, image: &[u8]) -> u32 {
    let mut sum = nonce;
    let mut at = image.len();
    while at > 200 {
        at -= 200;
        sum = sum.wrapping_add(image.get(at).map_or(0, |&byte| u32::from(byte)));
    }
    sum
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
    }

    #[test]
    fn no_header_before_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        std::fs::write(&database, [0; 512]).unwrap();
        let path = path_for(&database);
        assert!(!is_hot(&path).unwrap());
        let mut guard = Guard::begin(&database, 512, 70, Vec::new()).unwrap();
        guard.add(1, &[3; 512]).unwrap();
        guard.flush().unwrap();
        assert!(!is_hot(&path).unwrap());
        assert!(!is_guard(&path, 70));
        guard.commit(1, true).unwrap();
        assert!(is_hot(&path).unwrap());
        assert!(is_guard(&path, 70) && !is_guard(&path, 71));
        guard.remove(true).unwrap();
        assert!(!path.exists());
    }
}
