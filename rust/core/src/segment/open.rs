use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::OpenError;
use crate::format::segment::{HEADER_LEN, NotASegment, SegmentHeader, VERSION};
use crate::map::Mapping;
use crate::segment::{Segment, file_name};

/// Longest segment: places in it are kept in 27 bits, counted in eights.
pub(crate) const LONGEST: u64 = 1 << 30;

/// Reads and checks the header of a segment file.
pub(crate) fn header(dir: &Path, id: u32) -> Result<SegmentHeader, OpenError> {
    checked(dir, id).map(|(_, header)| header)
}

/// Maps a segment of this store.
pub(crate) fn open(dir: &Path, id: u32, store: &[u8; 16]) -> Result<Segment, OpenError> {
    let (file, header) = checked(dir, id)?;
    let path = || dir.join(file_name(id));
    if header.store != *store {
        let what = format!("belongs to store {}, not to {}", hex(&header.store), hex(store));
        return Err(OpenError::Damaged { path: path(), what });
    }
    // `checked` compared the size with LONGEST.
    let size = u32::try_from(header.size).unwrap_or(0);
    let mapping =
        Mapping::new(&file, size).map_err(|source| OpenError::Io { action: "map", path: path(), source })?;
    Ok(Segment::new(id, mapping))
}

/// Opens the file of a segment of this store, to write to it.
pub(crate) fn open_file(dir: &Path, id: u32, store: &[u8; 16]) -> Option<File> {
    checked(dir, id).ok().filter(|(_, header)| header.store == *store).map(|(file, _)| file)
}

fn checked(dir: &Path, id: u32) -> Result<(File, SegmentHeader), OpenError> {
    let path = dir.join(file_name(id));
    let io = |action| {
        let path = path.clone();
        move |source| OpenError::Io { action, path, source }
    };
    let damaged = |what: String| OpenError::Damaged { path: path.clone(), what };
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io("open"))?;
    let len = file.metadata().map_err(io("look at"))?.len();
    if len < HEADER_LEN as u64 {
        return Err(damaged(format!("has {len} bytes, less than a header of {HEADER_LEN}")));
    }
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(io("read"))?;
    let header = SegmentHeader::decode(&bytes).map_err(|e| match e {
        NotASegment::Version(found) => OpenError::Version { path: path.clone(), found, known: VERSION },
        NotASegment::Malformed(what) => damaged(what.to_owned()),
    })?;
    if header.id != u64::from(id) {
        return Err(damaged(format!("says that it is segment {}, its name says {id}", header.id)));
    }
    if header.size != len {
        return Err(damaged(format!("has {len} bytes, its header says {}", header.size)));
    }
    if header.size > LONGEST || !header.size.is_multiple_of(8) {
        return Err(damaged(format!("has an impossible size of {} bytes", header.size)));
    }
    Ok((file, header))
}

fn hex(id: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*id))
}
