//! A sealed file, open for reading.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::columns::{self, content_hash};
use super::difference;
use super::digest::Digest;
use super::frame::unpack;
use super::header::{
    BadSeal, DIGEST_MAGIC, EMPTY_TABLE, FRONT, Header, INDEX_MAGIC, SKIPPED, VERSION, skipped,
};
use super::index::{Entry, Index, StoredAs, farthest, leaning_check};
use super::recent::Frames;
use super::runs;
use crate::error::{OpenError, ReadError};
use crate::format::Head;
use crate::segment::{LONGEST, sealed_name};
use crate::types::Location;

/// A sealed segment: its index in memory, its bodies in the file.
#[derive(Debug)]
pub(crate) struct Sealed {
    id: u32,
    path: PathBuf,
    file: File,
    index: Index,
    /// Tells it from other files of the same segment: its index's hash, and that one has every frame's.
    stamp: u64,
}

/// What a sealed file needs for its bodies.
pub(crate) trait Others {
    /// Content of frames that was read lately.
    fn frames(&self) -> &Frames;

    /// Reads the oldest image of an object's key in another segment; `false` if there is none.
    ///
    /// # Errors
    /// When that segment cannot be read, or is damaged.
    fn oldest(&self, id: u32, key: (u32, u64), out: &mut Vec<u8>) -> Result<bool, ReadError>;
}

/// Reads and checks the header of a sealed file.
pub(crate) fn header(dir: &Path, id: u32) -> Result<Header, OpenError> {
    checked(&dir.join(sealed_name(id)), id).map(|front| front.header)
}

/// Reads the digest of a sealed segment of this store; `None` if it has none, as those of version 1.
pub(crate) fn digest(dir: &Path, id: u32, store: &[u8; 16]) -> Result<Option<Digest>, OpenError> {
    digest_at(&dir.join(sealed_name(id)), id, store)
}

/// As [`digest`], by another name.
pub(crate) fn digest_at(path: &Path, id: u32, store: &[u8; 16]) -> Result<Option<Digest>, OpenError> {
    let front = checked(path, id)?;
    front.belongs_to(store, path)?;
    if !front.header.has_digest() {
        return Ok(None);
    }
    let damaged = |what: &str| OpenError::Damaged { path: path.to_path_buf(), what: what.to_owned() };
    let len = front.digest_len().map_err(|bad| bad.of(path))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| damaged("has too long a digest"))?;
    let read = front.rest.get(..len.min(front.rest.len())).unwrap_or_default();
    bytes.extend_from_slice(read);
    let at = FRONT + SKIPPED + bytes.len();
    let from = bytes.len();
    bytes.resize(len, 0);
    let rest = bytes.get_mut(from..).unwrap_or_default();
    front.file.read_exact_at(rest, at as u64).map_err(|source| unreadable("read", path, source))?;
    Digest::decode(&bytes, front.header.size).map(Some).map_err(|bad| bad.of(path))
}

impl Sealed {
    /// Opens a sealed segment of this store, and reads its index.
    pub(crate) fn open(dir: &Path, id: u32, store: &[u8; 16]) -> Result<Self, OpenError> {
        Self::open_at(dir.join(sealed_name(id)), id, store)
    }

    /// As [`Sealed::open`], by another name.
    pub(crate) fn open_at(path: PathBuf, id: u32, store: &[u8; 16]) -> Result<Self, OpenError> {
        let front = checked(&path, id)?;
        front.belongs_to(store, &path)?;
        let (index, stamp) = index(&front, &path)?;
        let may_lean = front.header.is_newest_first() && (id + 1..=farthest(id)).contains(&index.reach);
        if index.reach > 0 && !may_lean {
            let what = "leans on segments that it cannot lean on".to_owned();
            return Err(OpenError::Damaged { path, what });
        }
        Ok(Self { id, path, file: front.file, index, stamp })
    }

    /// The segment's number.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// What it has.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Reads the record at an offset of the segment; `None` if there is none.
    ///
    /// The buffer's old content is replaced; after an error its content is anything.
    pub(crate) fn read(
        &self,
        offset: u32,
        others: &dyn Others,
        out: &mut Vec<u8>,
    ) -> Result<Option<Head>, ReadError> {
        let Some(number) = self.index.find(offset) else { return Ok(None) };
        self.body(number, others, out)?;
        let head = self.index.entry(number).and_then(|entry| self.index.head(entry));
        head.map(Some).ok_or_else(|| self.damaged(offset, "is not in the index"))
    }

    fn damaged(&self, offset: u32, what: &str) -> ReadError {
        let at = Location::new(self.id, offset);
        ReadError::Damaged { what: format!("{}: the record at {at} {what}", self.path.display()) }
    }

    fn body(&self, number: u32, others: &dyn Others, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let offset = self.index.entry(number).map_or(0, |entry| entry.offset);
        let damaged = |what: &str| self.damaged(offset, what);
        let lost = || damaged("is not in the index");
        let (frame_number, frame) = self.index.frame_of(number).ok_or_else(lost)?;
        let (frames, of) = (others.frames(), (self.id, self.stamp, frame_number));
        let content = match frames.get(of) {
            Some(content) => content,
            None => {
                let mut packed = Vec::new();
                let len = frame.packed as usize;
                packed.try_reserve_exact(len).map_err(|_| damaged("is in a frame that is too long"))?;
                packed.resize(len, 0);
                self.file.read_exact_at(&mut packed, frame.at).map_err(|source| match source.kind() {
                    io::ErrorKind::UnexpectedEof => damaged("is in a frame that is not there any more"),
                    _ => ReadError::Io { action: "read a sealed segment", source },
                })?;
                let mut plain = Vec::new();
                let whole = unpack(&packed, frame.plain as usize, &mut plain);
                if whole.is_none() || content_hash(&plain) != frame.hash {
                    return Err(damaged("is in a frame that does not match its hash"));
                }
                frames.put(of, plain)
            }
        };
        for part in self.index.chain(number) {
            let entry = self.index.entry(part).ok_or_else(lost)?;
            let (from, len) = (entry.start as usize, entry.stored as usize);
            let stored = content.get(from..).and_then(|rest| rest.get(..len)).ok_or_else(lost)?;
            match entry.stored_as {
                StoredAs::Whole => {
                    out.clear();
                    out.extend_from_slice(stored);
                    continue;
                }
                StoredAs::Next => {}
                StoredAs::Leaning => {
                    let (check, difference) = stored.split_first_chunk().ok_or_else(lost)?;
                    self.leaned_on(entry, others, out)?;
                    let made = difference::apply(difference, out);
                    if made.is_none() || leaning_check(out) != *check {
                        return Err(damaged("leans on an image of another history"));
                    }
                    continue;
                }
            }
            let made = match self.index.newest_first {
                true => difference::apply(stored, out),
                false => runs::apply(stored, out),
            };
            made.ok_or_else(|| damaged("is not a difference from another one"))?;
        }
        Ok(())
    }

    /// Reads the oldest image of an object's key; `false` if there is none.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn oldest(
        &self,
        (object, key): (u32, u64),
        others: &dyn Others,
        out: &mut Vec<u8>,
    ) -> Result<bool, ReadError> {
        match self.index.oldest(object, key) {
            Some(number) => self.body(number, others, out).map(|()| true),
            None => Ok(false),
        }
    }

    /// The image behind this segment that this record's runs are against. Each step leads to a newer segment, and none past
    /// `farthest`: there is an end.
    fn leaned_on(&self, entry: &Entry, others: &dyn Others, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let group = self.index.groups.get(entry.group as usize);
        let (object, key) = group.map_or((0, 0), |group| (group.object, group.key));
        let mut found = false;
        for id in self.id.saturating_add(1)..=self.index.reach {
            found = found || others.oldest(id, (object, key), out)?;
        }
        if !found {
            return Err(self.damaged(entry.offset, "leans on an image that is not there"));
        }
        if out.len() != entry.len as usize {
            return Err(self.damaged(entry.offset, "leans on an image of another length"));
        }
        Ok(())
    }
}

/// A file that ends before what was there a moment ago is damaged.
fn unreadable(action: &'static str, path: &Path, source: io::Error) -> OpenError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            OpenError::Damaged { path: path.to_path_buf(), what: "was cut shorter".to_owned() }
        }
        _ => OpenError::Io { action, path: path.to_path_buf(), source },
    }
}

/// How much of a file is read with its header: most digests.
const AT_ONCE: usize = 8 << 10;

/// The beginning of a sealed file.
struct Front {
    file: File,
    header: Header,
    /// What stands before the digest's content.
    digest: [u8; SKIPPED],
    /// What follows that, as far as it was read.
    rest: Vec<u8>,
}

impl Front {
    fn belongs_to(&self, store: &[u8; 16], path: &Path) -> Result<(), OpenError> {
        if self.header.store == *store {
            return Ok(());
        }
        Err(OpenError::Damaged { path: path.to_path_buf(), what: "belongs to another store".to_owned() })
    }

    /// How long the digest is.
    fn digest_len(&self) -> Result<usize, BadSeal> {
        let len = self.digest.last_chunk().map_or(0, |len| u32::from_le_bytes(*len));
        if self.digest != skipped(DIGEST_MAGIC, len) {
            return Err(BadSeal::Malformed("has no digest behind its header"));
        }
        if (FRONT + SKIPPED) as u64 + u64::from(len) > self.header.index_at {
            return Err(BadSeal::Malformed("has a digest that reaches into its index"));
        }
        usize::try_from(len).map_err(|_| BadSeal::Malformed("has too long a digest"))
    }
}

fn checked(path: &Path, id: u32) -> Result<Front, OpenError> {
    let io = |action| move |source| unreadable(action, path, source);
    let damaged = |what: String| OpenError::Damaged { path: path.to_path_buf(), what };
    let file = File::open(path).map_err(io("open"))?;
    let len = file.metadata().map_err(io("look at"))?.len();
    if len < FRONT as u64 {
        return Err(damaged(format!("has {len} bytes, less than a header of {FRONT}")));
    }
    let mut bytes = vec![0; AT_ONCE.min(usize::try_from(len).unwrap_or(AT_ONCE))];
    file.read_exact_at(&mut bytes, 0).map_err(io("read"))?;
    let header = bytes.first_chunk().ok_or(BadSeal::Malformed("has too short a header"));
    let header = header.and_then(Header::decode).map_err(|bad| bad.of(path))?;
    if header.id != u64::from(id) {
        return Err(damaged(format!("says that it is segment {}, its name says {id}", header.id)));
    }
    if header.file_len != len {
        return Err(damaged(format!("has {len} bytes, its header says {}", header.file_len)));
    }
    if header.size > LONGEST || !header.size.is_multiple_of(8) {
        return Err(damaged(format!("is of a segment of impossible {} bytes", header.size)));
    }
    let (front, rest) = bytes.split_at_checked(FRONT + SKIPPED).unwrap_or_default();
    let digest = front.last_chunk().copied().unwrap_or_default();
    Ok(Front { file, header, digest, rest: rest.to_vec() })
}

/// What stands before the bodies at least.
fn front_len(header: &Header) -> u64 {
    let digest = if header.has_digest() { SKIPPED } else { 0 };
    (FRONT + digest) as u64
}

/// And its hash.
fn index(front: &Front, path: &Path) -> Result<(Index, u64), OpenError> {
    let Front { file, header, .. } = front;
    let damaged = |what: &str| OpenError::Damaged { path: path.to_path_buf(), what: what.to_owned() };
    let io = |source| unreadable("read the index of", path, source);
    let least = (SKIPPED + EMPTY_TABLE) as u64;
    let room = header.file_len.checked_sub(header.index_at).filter(|room| *room >= least);
    let room = room.ok_or_else(|| damaged("has no room for its index"))?;
    let mut frame = [0; SKIPPED];
    file.read_exact_at(&mut frame, header.index_at).map_err(io)?;
    let len = frame.last_chunk().map_or(0, |len| u32::from_le_bytes(*len));
    if frame != skipped(INDEX_MAGIC, len) || u64::from(len) > room - least {
        return Err(damaged("has no index where its header says"));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len as usize).map_err(|_| damaged("has too long an index"))?;
    bytes.resize(len as usize, 0);
    file.read_exact_at(&mut bytes, header.index_at + SKIPPED as u64).map_err(io)?;
    // Where the digest ends is asked of the bodies: nothing of a segment depends on its digest.
    let room = front_len(header)..header.index_at;
    let index = columns::decode(&bytes, header.is_newest_first(), room, header.size);
    let index = index.map_err(|bad| bad.of(path))?;
    Ok((index, columns::stamp(&bytes)))
}

impl BadSeal {
    fn of(self, path: &Path) -> OpenError {
        match self {
            Self::Version(found) => OpenError::Version { path: path.to_path_buf(), found, known: VERSION },
            Self::Malformed(what) => OpenError::Damaged { path: path.to_path_buf(), what: what.to_owned() },
        }
    }
}
