use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use memchr::memmem::Finder;

/// The name of one of SQLite's lock methods: in exactly those builds that take POSIX locks.
/// Written in two halves, so that this library's own constants are not mistaken for one.
const MARKER: [&[u8]; 2] = [b"unix-dot", b"file\0"];
/// A file whose sections are not listed is read up to here.
const MOST: u64 = 64 << 20;
/// Read at a time.
const CHUNK: usize = 256 << 10;

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    mtime: (i64, i64),
}

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let meta = path.metadata()?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
        })
    }
}

/// Whether the constants of an ELF file have the marker.
pub(super) fn is_in(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let (mut at, end) = match constants(&file) {
        Some(part) => part,
        None => (0, file.metadata()?.len().min(MOST)),
    };
    let marker = MARKER.concat();
    let finder = Finder::new(&marker);
    let mut buf = vec![0; CHUNK];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let Some(room) = buf.get_mut(..want) else { break };
        let got = file.read_at(room, at)?;
        if finder.find(room.get(..got).unwrap_or_default()).is_some() {
            return Ok(true);
        }
        // The next part begins a marker's length earlier: it may lie across. No progress is the end.
        let step = if got == want { got.saturating_sub(marker.len()) } else { got };
        if step == 0 || at + got as u64 >= end {
            break;
        }
        at += step as u64;
    }
    Ok(false)
}

/// Where the section `.rodata` is: beginning and end. `None` when the file does not say.
fn constants(file: &File) -> Option<(u64, u64)> {
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0).ok()?;
    // ELF, 64 bits, little-endian; anything else is read whole.
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64_at(&head, 40)?;
    let entry = usize::from(u16_at(&head, 58)?);
    let count = usize::from(u16_at(&head, 60)?);
    let names = usize::from(u16_at(&head, 62)?);
    if entry < 64 || count == 0 {
        return None;
    }
    let mut headers = vec![0; entry * count];
    file.read_exact_at(&mut headers, table).ok()?;
    let section = |index: usize| headers.get(index * entry..(index + 1) * entry);
    let place = |header: &[u8]| Some((u64_at(header, 24)?, u64_at(header, 32)?));
    let (names_at, names_len) = place(section(names)?)?;
    (0..count).find_map(|index| {
        let header = section(index)?;
        let name = u64::from(u32::from_le_bytes(*header.first_chunk()?));
        let mut text = [0; 8];
        if name >= names_len || file.read_exact_at(&mut text, names_at.checked_add(name)?).is_err() {
            return None;
        }
        let (at, len) = place(header)?;
        (&text == b".rodata\0").then_some((at, at.checked_add(len)?))
    })
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_marker_across_two_parts_is_found() {
        for shift in 0..16 {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&vec![1; CHUNK - shift]).unwrap();
            file.write_all(&MARKER.concat()).unwrap();
            file.write_all(&[1; 100]).unwrap();
            assert!(is_in(file.path()).unwrap(), "{shift}");
        }
    }

    #[test]
    fn a_file_without_it_is_clean() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'u'; 3 * CHUNK]).unwrap();
        assert!(!is_in(file.path()).unwrap());
    }

    #[test]
    fn constants_of_a_program_are_found() {
        let program = File::open(std::env::current_exe().unwrap()).unwrap();
        let (at, end) = constants(&program).unwrap();
        assert!(at < end && end <= program.metadata().unwrap().len());
    }
}
