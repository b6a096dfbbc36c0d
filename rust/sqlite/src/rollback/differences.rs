//! The blocks in which the file differs from the target, and what they are to become.

use std::ops::Range;

use dbrewind_core::{Extent, Head, Key, Kind, Location, Lsn, ObjectId, Source, Store};

use super::free_list::free_blocks;
use crate::error::Error;
use crate::fault;
use crate::ffi::{HostFile, WriteBack};
use crate::file::{self, FileId, Header, read_padded};
use crate::options::Synchronous;
use crate::progress::Steps;

/// Runs up to this many bytes are held in memory until they are written; other images are read again.
const HELD: usize = 64 << 20;
/// The most that is read or written at once: the unix VFS counts in 17 bits.
const SPAN: usize = 1 << 16;
/// Bytes between two blocks that are rather read, or written as they are, than jumped over with a call more.
const GAP: u64 = 8 << 10;

/// Takes a block's key and its present content.
pub(super) type Now<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Error> + 'a;

/// Found by comparing, before anything is written. Block 1 is kept apart: a rewind always writes it.
#[derive(Debug)]
pub(super) struct Differences {
    store: Store,
    object: ObjectId,
    /// The rewind's own LSN.
    own: Lsn,
    block: usize,
    /// The most bytes between two changed blocks that are written as they are, too.
    bridge: usize,
    /// The blocks that differ, without block 1, ascending.
    changed: Vec<u64>,
    /// What is to be written, ascending.
    runs: Vec<Run>,
    /// The bytes of the runs: so many of them, behind which is what an earlier rewind left.
    held: Vec<u8>,
    used: usize,
    /// Changed blocks that are in no run, `None` for zeros.
    later: Vec<(u64, Option<Location>)>,
    /// Block 1 as it is, and as it is to become.
    first_now: Vec<u8>,
    first: Vec<u8>,
    scratch: Vec<u8>,
}

/// Bytes that belong at an offset of the file: `held[start..start + len]`.
#[derive(Clone, Copy, Debug)]
struct Run {
    offset: u64,
    start: usize,
    len: usize,
}

/// What was written since the disk was last set to work.
#[derive(Default, Debug)]
struct Written {
    writes: u32,
    range: Option<Range<u64>>,
}

impl Written {
    /// After so many writes there is enough to do for the disk.
    const ENOUGH: u32 = 8;

    /// Adds a write. What the disk is to work on, if it is enough.
    fn add(&mut self, range: Range<u64>) -> Option<Range<u64>> {
        let before = self.range.take().unwrap_or_else(|| range.clone());
        let all = before.start.min(range.start)..before.end.max(range.end);
        self.writes += 1;
        if self.writes.is_multiple_of(Self::ENOUGH) {
            return Some(all);
        }
        self.range = Some(all);
        None
    }
}

impl Differences {
    /// Nothing is compared yet. `held` is memory to use. `bridge`: whether to write short stretches between two
    /// changed blocks as they are, which a power cut could tear.
    pub(super) fn new(
        store: Store,
        object: ObjectId,
        own: Lsn,
        block: u32,
        bridge: bool,
        held: Vec<u8>,
    ) -> Self {
        let block = block as usize;
        Self {
            store,
            object,
            own,
            block,
            bridge: if bridge { GAP as usize } else { 0 },
            changed: Vec::new(),
            runs: Vec::new(),
            held,
            used: 0,
            later: Vec::new(),
            first_now: vec![0; block],
            first: vec![0; block],
            scratch: Vec::new(),
        }
    }

    /// Gives the memory back.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.held
    }

    /// The rewind's own LSN.
    pub(super) fn own(&self) -> Lsn {
        self.own
    }

    /// Whether the file is as at the target, block for block.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.first == self.first_now
    }

    /// How many blocks are to change: the first one does in any case.
    pub(super) fn len(&self) -> u64 {
        self.changed.len() as u64 + 1
    }

    /// Block 1 as it is to become.
    pub(super) fn first_block(&self) -> &[u8] {
        &self.first
    }

    /// The same, to put in what must not go back.
    pub(super) fn first_block_mut(&mut self) -> &mut [u8] {
        &mut self.first
    }

    /// Reads block 1, as it is and as planned.
    pub(super) fn begin(&mut self, file: &mut HostFile, items: &[(Key, Source)]) -> Result<(), Error> {
        read_padded(file, &mut self.first_now, 0).map_err(Error::vfs("read the database"))?;
        self.first.copy_from_slice(&self.first_now);
        if let Some((_, source)) = items.first().filter(|(key, source)| key.get() == 1 && is_given(*source)) {
            let mut image = std::mem::take(&mut self.first);
            self.load(location(*source)?, &mut image)?;
            self.first = image;
        }
        Ok(())
    }

    /// Compares the planned keys but block 1 with the file. `now` hears of each block that differs. It is
    /// saved as the rewind's before-image at once; an image whose rewind does not happen is no harm, it holds
    /// what is still there.
    pub(super) fn compare(
        &mut self,
        file: &mut HostFile,
        items: &[(Key, Source)],
        now: &mut Now<'_>,
    ) -> Result<(), Error> {
        let mut wanted = items.iter().filter(|(key, source)| key.get() > 1 && is_given(*source)).peekable();
        let mut group: Vec<(u64, Option<Location>)> = Vec::new();
        // The other half is to write them.
        let mut steps = Steps::between(0, 500, items.len() as u64);
        while let Some(&(key, source)) = wanted.next() {
            group.push((key.get(), location(source)?));
            let ends = wanted.peek().is_none_or(|(next, _)| {
                let start = group.first().map_or(1, |(first, _)| *first);
                let gap = (next.get() - key.get() - 1) * self.block as u64;
                gap > GAP || (next.get() + 1 - start) * self.block as u64 > SPAN as u64
            });
            if ends {
                self.compare_group(file, &group, now)?;
                steps.add(group.len() as u64);
                group.clear();
            }
        }
        Ok(())
    }

    /// Reads from the first of these blocks to the last at once.
    fn compare_group(
        &mut self,
        file: &mut HostFile,
        group: &[(u64, Option<Location>)],
        now: &mut Now<'_>,
    ) -> Result<(), Error> {
        let (Some(&(first, _)), Some(&(last, _))) = (group.first(), group.last()) else { return Ok(()) };
        let offset = self.offset(first);
        let len = usize::try_from(last + 1 - first).unwrap_or(1) * self.block;
        // What is to be written is put together where it was read.
        let start = self.used;
        let mut held = std::mem::take(&mut self.held);
        if held.len() < start + len {
            held.resize(start + len, 0);
        }
        let mut image = std::mem::take(&mut self.scratch);
        let mut runs = Vec::new();
        let result = held.get_mut(start..start + len).map_or(Ok(()), |span| {
            read_padded(file, span, offset).map_err(Error::vfs("read the database"))?;
            for &(key, at) in group {
                self.load(at, &mut image)?;
                let from = usize::try_from(key - first).unwrap_or(0) * self.block;
                let Some(block) = span.get_mut(from..from + self.block) else { continue };
                if *block == *image {
                    continue;
                }
                self.save_one(key, block)?;
                now(key, block)?;
                block.copy_from_slice(&image);
                self.changed.push(key);
                if start + len > HELD {
                    self.later.push((key, at));
                } else {
                    self.extend(
                        &mut runs,
                        Run { offset: offset + from as u64, start: start + from, len: self.block },
                    );
                }
            }
            Ok(())
        });
        self.used = runs.last().map_or(start, |run| run.start + run.len);
        self.held = held;
        self.scratch = image;
        self.runs.extend(runs);
        result
    }

    /// Adds a block to the runs of a group: both lie in memory as they do in the file.
    fn extend(&self, runs: &mut Vec<Run>, block: Run) {
        match runs.last_mut() {
            Some(run) if block.start - run.start - run.len <= self.bridge => {
                run.len = block.start + block.len - run.start;
            }
            _ => runs.push(block),
        }
    }

    fn load(&self, at: Option<Location>, image: &mut Vec<u8>) -> Result<(), Error> {
        match at {
            Some(at) => self.store.read_into(at, image).map(|_| ())?,
            None => image.clear(),
        }
        if image.len() != self.block && at.is_some() {
            return Err(Error::internal("an image in the store is not a block long"));
        }
        image.resize(self.block, 0);
        Ok(())
    }

    fn save_one(&self, key: u64, now: &[u8]) -> Result<(), Error> {
        let head =
            Head { kind: Kind::Before, flags: 0, object: self.object, key: Key::new(key), lsn: self.own };
        self.store.append(head, &[now])?;
        Ok(())
    }

    /// Saves block 1 and the blocks that will be cut off. With this the state before the rewind is kept.
    pub(super) fn save(
        &mut self,
        file: &mut HostFile,
        present: Extent,
        then: Extent,
        now: &mut Now<'_>,
    ) -> Result<(), Error> {
        self.save_one(1, &self.first_now)?;
        now(1, &self.first_now)?;
        if then >= present {
            return Ok(());
        }
        let mut span = vec![0; (SPAN / self.block).max(1) * self.block];
        let mut next = then.get() + 1;
        while next <= present.get() {
            read_padded(file, &mut span, self.offset(next)).map_err(Error::vfs("read the database"))?;
            for (key, image) in (next..=present.get()).zip(span.chunks_exact(self.block)) {
                self.save_one(key, image)?;
                now(key, image)?;
                next = key + 1;
            }
        }
        Ok(())
    }

    fn offset(&self, key: u64) -> u64 {
        (key - 1) * self.block as u64
    }

    /// Visits the file's present pages that will be overwritten or cut off, ascending, when a page is not a
    /// block: it may be smaller or larger. `present` and `then`: the length of the file now and at the target.
    pub(super) fn for_each_page(
        &self,
        file: &mut HostFile,
        page_size: u32,
        (present, then): (u64, u64),
        visit: &mut Now<'_>,
    ) -> Result<(), Error> {
        let (block, size) = (self.block as u64, u64::from(page_size));
        let mut page = vec![0; page_size as usize];
        let pages = present.div_ceil(size);
        let written = std::iter::once(1).chain(self.changed.iter().copied()).map(|key| {
            let offset = self.offset(key);
            (offset / size, (offset + block).div_ceil(size))
        });
        let mut next = 0;
        for (from, upto) in written.chain([(then.min(present) / size, pages)]) {
            for index in from.max(next)..upto.min(pages) {
                read_padded(file, &mut page, index * size).map_err(Error::vfs("read the database"))?;
                visit(index + 1, &page)?;
            }
            next = next.max(upto);
        }
        Ok(())
    }

    /// Saves the pages that the rewind has made free and not changed. The blocks are written.
    pub(super) fn save_freed(&self, file: &mut HostFile) -> Result<(), Error> {
        // Nobody but us has written since, under EXCLUSIVE.
        if file::number(&self.first, file::FIRST_TRUNK) == 0 {
            return Ok(());
        }
        let read = || Error::vfs("read the database");
        let block = u32::try_from(self.block).unwrap_or(u32::MAX);
        let changed = |key: u64| self.changed.binary_search(&key).is_ok();
        let freed = free_blocks(file, block, |mut trunk| trunk.any(changed)).map_err(read())?;
        let mut image = vec![0; self.block];
        for key in freed {
            if !changed(key) {
                read_padded(file, &mut image, self.offset(key)).map_err(read())?;
                self.save_one(key, &image)?;
            }
        }
        Ok(())
    }

    /// Writes the blocks where they belong and gives the file its length, `bytes`. `early`: how the disk
    /// gets to work on the file, and which one it is.
    pub(super) fn write_in_place(
        &self,
        file: &mut HostFile,
        bytes: u64,
        size_now: u64,
        synchronous: Synchronous,
        early: Option<(&WriteBack, FileId)>,
    ) -> Result<(), Error> {
        let mut end = size_now;
        let mut written = Written::default();
        let mut steps = Steps::between(500, 1000, (self.changed.len() * self.block) as u64);
        let mut write = |file: &mut HostFile, image: &[u8], offset: u64| {
            end = end.max(offset + image.len() as u64);
            file.write(image, offset).map_err(Error::vfs("write the database"))?;
            steps.add(image.len() as u64);
            fault::place("rollback rewind: one write in place");
            if let Some((write_back, id)) = early
                && let Some(range) = written.add(offset..offset + image.len() as u64)
            {
                write_back.start(id, range);
            }
            Ok::<(), Error>(())
        };
        write(file, &self.first, 0)?;
        for run in &self.runs {
            let image = self.held.get(run.start..run.start + run.len).unwrap_or_default();
            write(file, image, run.offset)?;
        }
        let mut image = Vec::new();
        for &(key, at) in &self.later {
            self.load(at, &mut image)?;
            write(file, &image, self.offset(key))?;
        }
        // A file that is longer than page 1 says is whole. Cut after the sync, it costs no second one for the
        // file's length.
        let tells = Header::parse(&self.first).is_some_and(|header| header.pages.is_some());
        let late = synchronous == Synchronous::Normal && tells && end > bytes;
        let sync = |file: &mut HostFile| file.sync().map_err(Error::vfs("sync the database"));
        if late {
            sync(file)?;
        }
        if end != bytes {
            file.truncate(bytes).map_err(Error::vfs("give the database its length"))?;
        }
        if late || synchronous == Synchronous::Off { Ok(()) } else { sync(file) }
    }
}

/// Whether the plan says what the block is to become.
fn is_given(source: Source) -> bool {
    !matches!(source, Source::Current)
}

/// Where an image is; `None`: it is zeros.
fn location(source: Source) -> Result<Option<Location>, Error> {
    match source {
        Source::Record(at) => Ok(Some(at)),
        Source::Zero | Source::Current => Ok(None),
        Source::Base => Err(Error::internal("a base image in an era of before-images")),
    }
}
