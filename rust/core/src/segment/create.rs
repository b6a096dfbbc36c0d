use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::OpenError;
use crate::format::segment::SegmentHeader;
use crate::map::{self, LARGE_PAGE, Mapping};
use crate::segment::{Segment, TEMPORARY, file_name};

/// Makes a segment of `size` bytes. The caller holds the lock for doing so.
///
/// All the room on disk is taken before the file gets its name, so that nothing that was promised
/// can fail later. `large`: it will be filled at once, so that it begins with a large page.
pub(crate) fn create(
    dir: &Path,
    id: u32,
    size: u32,
    store: &[u8; 16],
    large: bool,
) -> Result<Segment, OpenError> {
    let path = dir.join(file_name(id));
    let temporary = dir.join(file_name(id) + TEMPORARY);
    let made = make(&temporary, &path, id, size, store, large);
    made.map_err(|(action, source)| {
        let _ = fs::remove_file(&temporary);
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                OpenError::Full {
                    path: dir.to_path_buf(),
                    why: "there is no room left on its disk; free some".to_owned(),
                }
            }
            _ => OpenError::Io { action, path, source },
        }
    })
}

fn make(
    temporary: &Path,
    path: &Path,
    id: u32,
    size: u32,
    store: &[u8; 16],
    large: bool,
) -> Result<Segment, (&'static str, io::Error)> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).open(temporary);
    let file = file.map_err(|e| ("create", e))?;
    map::reserve_room(&file, u64::from(size)).map_err(|e| ("make room for", e))?;
    let header = SegmentHeader { store: *store, id: u64::from(id), size: u64::from(size) };
    let mapping = Mapping::new(&file, size).map_err(|e| ("map", e))?;
    if large {
        // Through the mapping: a call would take a small page for it, in the place of the large one.
        mapping.in_large_pages(0..LARGE_PAGE);
        mapping.write(0, &header.encode());
    } else {
        file.write_all_at(&header.encode(), 0).map_err(|e| ("write", e))?;
    }
    fs::rename(temporary, path).map_err(|e| ("rename", e))?;
    Ok(Segment::new(id, mapping))
}
