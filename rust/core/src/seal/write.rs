//! Making a sealed file of the records of a segment.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use super::columns::{self, content_hash};
use super::difference::Differences;
use super::digest::Digest;
use super::frame::Packer;
use super::header::{
    DIGEST_MAGIC, EMPTY_TABLE, FRONT, Header, INDEX_MAGIC, SKIPPED, VERSION, seek_table, skipped,
};
use super::index::{CHAIN, Entry, Frame, Group, Index, StoredAs, is_image, leaning_check};
use crate::format::Head;

/// A frame ends with the key in which it reached this.
const FRAME: usize = 8 << 10;
/// And in the middle of one here.
const LONG_FRAME: usize = 32 << 10;

/// A record of the segment that is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// What it says.
    pub(crate) head: Head,
    /// Where it stands.
    pub(crate) offset: u32,
    /// Length of its body.
    pub(crate) len: u32,
}

impl Found {
    fn group(&self) -> (u32, bool, u64) {
        (self.head.object.get(), is_image(self.head.kind), self.head.key.get())
    }
}

/// Which segment is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Its store.
    pub(crate) store: [u8; 16],
    /// Its number.
    pub(crate) id: u32,
    /// Its length.
    pub(crate) size: u32,
}

/// What a sealed file may lean on.
pub(crate) struct Behind<'a> {
    /// The newest segment that is asked, above the one that is written.
    pub(crate) reach: u32,
    /// Gets the oldest image of a record's key behind its segment into a buffer, if there is one.
    pub(crate) oldest: &'a mut dyn FnMut(&Found, &mut Vec<u8>) -> io::Result<bool>,
}

/// Writes a sealed file, from the beginning of an empty one, of records in log order. Its header comes last. Answers its length.
///
/// `body` gets a record's body into a buffer. Between two frames `go_on` is asked; when it says no, the
/// answer is an error of the kind `Interrupted`.
pub(crate) fn write(
    file: &File,
    origin: Origin,
    mut records: Vec<Found>,
    body: &mut dyn FnMut(&Found, &mut Vec<u8>) -> io::Result<()>,
    mut behind: Option<Behind<'_>>,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<u64> {
    let mut packer = Packer::new()?;
    let digest = Digest::new(&records, body)?.encode(&mut packer)?;
    sort(&mut records);
    let mut writer = Writer {
        out: BufWriter::with_capacity(1 << 18, file),
        packer,
        plain: Vec::with_capacity(LONG_FRAME + FRAME),
        packed: Vec::new(),
        at: (FRONT + SKIPPED + digest.len()) as u64,
        first: 0,
        chain: 0,
        index: Index { newest_first: true, ..Index::default() },
        differences: Differences::default(),
    };
    writer.index.entries.reserve_exact(records.len());
    writer.out.write_all(&[0; FRONT])?;
    writer.out.write_all(&skipped(DIGEST_MAGIC, count(digest.len())?))?;
    writer.out.write_all(&digest)?;
    let (mut last, mut next, mut oldest) = (Vec::new(), Vec::new(), Vec::new());
    let mut group = None;
    for found in &records {
        let new_group = group != Some(found.group());
        let long = writer.plain.len() >= LONG_FRAME;
        if long || (writer.plain.len() >= FRAME && (new_group || !found.group().1)) {
            writer.end_frame()?;
            if !go_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        body(found, &mut next)?;
        let mut base = None;
        if found.group().1 {
            // Of the same key, in the same frame, and as long.
            if !new_group && !writer.is_frame_empty() {
                base = (last.len() == next.len()).then_some((StoredAs::Next, last.as_slice()));
            } else if let Some(behind) = &mut behind
                && (behind.oldest)(found, &mut oldest)?
                && oldest.len() == next.len()
            {
                writer.index.reach = behind.reach;
                base = Some((StoredAs::Leaning, oldest.as_slice()));
            }
        }
        writer.add(found, new_group, base, &next)?;
        group = Some(found.group());
        std::mem::swap(&mut last, &mut next);
    }
    writer.finish(file, origin, digest.len())
}

/// Puts records in the order in which a sealed file has them.
pub(crate) fn sort(records: &mut [Found]) {
    records.sort_unstable_by(|a, b| {
        let (when, other) = ((a.head.lsn, a.offset), (b.head.lsn, b.offset));
        let within = if a.group().1 { other.cmp(&when) } else { when.cmp(&other) };
        a.group().cmp(&b.group()).then(within)
    });
}

struct Writer<'a> {
    out: BufWriter<&'a File>,
    packer: Packer,
    /// Content of the present frame.
    plain: Vec<u8>,
    packed: Vec<u8>,
    /// Where the present frame will begin.
    at: u64,
    /// Its first record.
    first: u32,
    /// How many records make the newest body.
    chain: u32,
    index: Index,
    differences: Differences,
}

impl Writer<'_> {
    fn is_frame_empty(&self) -> bool {
        self.index.entries.len() == self.first as usize
    }

    fn add(
        &mut self,
        found: &Found,
        new_group: bool,
        base: Option<(StoredAs, &[u8])>,
        body: &[u8],
    ) -> io::Result<()> {
        let (object, image, key) = found.group();
        if new_group {
            let first = count(self.index.entries.len())?;
            self.index.groups.push(Group { object, image, key, first });
        }
        let start = self.plain.len();
        let mut stored_as = StoredAs::Whole;
        if let Some((by, base)) = base.filter(|(by, _)| *by == StoredAs::Leaning || self.chain < CHAIN) {
            if by == StoredAs::Leaning {
                self.plain.extend(leaning_check(body));
            }
            self.differences.encode(base, body, &mut self.plain);
            // A difference is packed less well than an image; what leans takes longer to read.
            let most = if by == StoredAs::Leaning { body.len() / 2 } else { body.len() };
            if self.plain.len() - start <= most {
                stored_as = by;
            } else {
                self.plain.truncate(start);
            }
        }
        self.chain = if stored_as == StoredAs::Next { self.chain + 1 } else { 1 };
        if stored_as == StoredAs::Whole {
            self.plain.extend_from_slice(body);
        }
        self.index.entries.push(Entry {
            lsn: found.head.lsn.get(),
            group: count(self.index.groups.len().saturating_sub(1))?,
            offset: found.offset,
            len: found.len,
            start: count(start)?,
            stored: count(self.plain.len() - start)?,
            kind: found.head.kind,
            flags: found.head.flags,
            stored_as,
        });
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let records = count(self.index.entries.len())?;
        if self.is_frame_empty() {
            return Ok(());
        }
        self.packer.pack(&self.plain, &mut self.packed)?;
        self.out.write_all(&self.packed)?;
        let packed = count(self.packed.len())?;
        let (plain, hash) = (count(self.plain.len())?, content_hash(&self.plain));
        self.index.frames.push(Frame { at: self.at, packed, plain, hash, first: self.first });
        self.at += u64::from(packed);
        self.first = records;
        self.plain.clear();
        Ok(())
    }

    fn finish(mut self, file: &File, origin: Origin, digest: usize) -> io::Result<u64> {
        self.end_frame()?;
        let index = columns::encode(&self.index, &mut self.packer)?;
        let index_len = count(index.len())?;
        self.out.write_all(&skipped(INDEX_MAGIC, index_len))?;
        self.out.write_all(&index)?;
        let frames = self.index.frames.iter().map(|frame| (frame.packed, frame.plain));
        let index_frame = index_len.checked_add(SKIPPED as u32).ok_or(io::ErrorKind::FileTooLarge)?;
        let front = [(FRONT as u32, 0), (count(SKIPPED + digest)?, 0)];
        let all = front.into_iter().chain(frames).chain([(index_frame, 0)]);
        let table = seek_table(&all.collect::<Vec<_>>());
        self.out.write_all(&table)?;
        self.out.flush()?;
        let header = Header {
            version: VERSION,
            store: origin.store,
            id: u64::from(origin.id),
            size: u64::from(origin.size),
            index_at: self.at,
            file_len: self.at + u64::from(index_frame) + table.len() as u64,
        };
        file.write_all_at(&header.encode(), 0)?;
        Ok(header.file_len)
    }
}

const _: () = assert!(EMPTY_TABLE == 17);

fn count(of: usize) -> io::Result<u32> {
    u32::try_from(of).map_err(|_| io::ErrorKind::FileTooLarge.into())
}
