//! The file `window`: which segment the log begins with, once something was evicted. `rust/docs/format.md` has its layout.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::OpenError;
use crate::fault;
use crate::format::bytes::{id_at, put, u32_at, u64_at};

const NAME: &str = "window";
const TEMPORARY: &str = "window.tmp";
const MAGIC: [u8; 8] = *b"dbrwwin\x01";
const VERSION: u32 = 1;
const LEN: usize = 48;

const STORE: usize = 16;
const FIRST: usize = 32;
const HASH: usize = 40;

/// Which segment the log of this store begins with, and the store's id if the file tells it. 1 without the file.
pub(crate) fn read(dir: &Path) -> Result<(u32, Option<[u8; 16]>), OpenError> {
    let path = dir.join(NAME);
    let mut bytes = Vec::with_capacity(LEN + 1);
    // However long somebody made it.
    let read = File::open(&path).and_then(|file| file.take(LEN as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok((1, None)),
        Err(source) => return Err(OpenError::Io { action: "read", path, source }),
    }
    if u32_at(&bytes, 8).is_some_and(|version| version != VERSION) && bytes.get(..8) == Some(&MAGIC) {
        let found = u32_at(&bytes, 8).unwrap_or(0);
        return Err(OpenError::Version { path, found, known: VERSION });
    }
    let whole = bytes.len() == LEN
        && bytes.get(..8) == Some(&MAGIC)
        && u64_at(&bytes, HASH) == bytes.get(..HASH).map(xxh3_64);
    let first = u64_at(&bytes, FIRST).and_then(|first| u32::try_from(first).ok()).filter(|first| *first > 0);
    match (first.filter(|_| whole), id_at(&bytes, STORE)) {
        (Some(first), Some(store)) => Ok((first, Some(store))),
        _ => Err(OpenError::Damaged { path, what: "does not say which segment the log begins with".into() }),
    }
}

/// The file's bytes.
pub(crate) fn encode(store: [u8; 16], first: u32) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, 8, &VERSION.to_le_bytes());
    put(&mut bytes, 12, &u32::try_from(LEN).unwrap_or(0).to_le_bytes());
    put(&mut bytes, STORE, &store);
    put(&mut bytes, FIRST, &u64::from(first).to_le_bytes());
    let hash = bytes.get(..HASH).map_or(0, xxh3_64);
    put(&mut bytes, HASH, &hash.to_le_bytes());
    bytes
}

/// Says on disk which segment the log begins with. The caller has the creation lock.
pub(super) fn write(dir: &Path, store: [u8; 16], first: u32) -> io::Result<()> {
    let bytes = encode(store, first);
    let temporary = dir.join(TEMPORARY);
    let mut file = File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fault::place("evict: manifest written");
    fs::rename(&temporary, dir.join(NAME))?;
    File::open(dir)?.sync_all()?;
    fault::place("evict: manifest in place");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_round_trips_and_any_flipped_byte_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Ok((1, None))));
        write(dir.path(), [7; 16], 9).unwrap();
        assert!(matches!(read(dir.path()), Ok((9, Some(store))) if store == [7; 16]));
        let path = dir.path().join(NAME);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 4;
            fs::write(&path, &bytes).unwrap();
            assert!(read(dir.path()).is_err(), "byte {at}");
        }
        for wrong in [&good[..40], &[&good[..], &[0]].concat()] {
            fs::write(&path, wrong).unwrap();
            assert!(read(dir.path()).is_err(), "{} bytes", wrong.len());
        }
        fs::write(&path, &good).unwrap();
        // Sparse, and more than there is memory for.
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(read(dir.path()), Err(OpenError::Damaged { .. })));
    }
}
