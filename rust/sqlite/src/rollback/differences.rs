//! The blocks in which the file differs from the target, and what they are to become.

use dbrewind_core::{Extent, Head, Key, Kind, Location, Lsn, ObjectId, Source, Store};

use super::content::read_padded;
use crate::error::Error;
use crate::fault;
use crate::ffi::HostFile;

/// Images up to this many bytes are held in memory between the passes; the others are read again.
const HELD: usize = 64 << 20;
/// The most that is read or written at once: the unix VFS counts in 17 bits.
const SPAN: usize = 1 << 16;

/// Takes a page number and the page.
type Visit<'a> = dyn FnMut(u32, &[u8]) -> Result<(), Error> + 'a;

/// Found by comparing, before anything is written. Block 1 is kept apart: a rewind always writes it.
#[derive(Debug)]
pub(super) struct Differences {
    store: Store,
    object: ObjectId,
    /// The rewind's own LSN.
    own: Lsn,
    block: usize,
    /// Ascending, without 1; and where each one's image is, `None` for zeros.
    keys: Vec<u64>,
    sources: Vec<Option<Location>>,
    /// The images of the first keys, one after the other.
    held: Vec<u8>,
    /// Block 1 as it is, and as it is to become.
    first_now: Vec<u8>,
    first: Vec<u8>,
    scratch: Vec<u8>,
}

impl Differences {
    /// Nothing is compared yet. `images` is memory to use, empty.
    pub(super) fn new(store: Store, object: ObjectId, own: Lsn, block: u32, images: Vec<u8>) -> Self {
        let block = block as usize;
        Self {
            store,
            object,
            own,
            block,
            keys: Vec::new(),
            sources: Vec::new(),
            held: images,
            first_now: vec![0; block],
            first: vec![0; block],
            scratch: Vec::new(),
        }
    }

    /// Gives the memory back.
    pub(super) fn into_images(self) -> Vec<u8> {
        self.held
    }

    /// The rewind's own LSN.
    pub(super) fn own(&self) -> Lsn {
        self.own
    }

    /// Whether the file is as at the target, block for block.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.first == self.first_now
    }

    /// How many blocks will be written: the first one is in any case.
    pub(super) fn len(&self) -> u64 {
        self.keys.len() as u64 + 1
    }

    /// Block 1 as it is to become.
    pub(super) fn first_block(&self) -> &[u8] {
        &self.first
    }

    /// The same, to put in what must not go back.
    pub(super) fn first_block_mut(&mut self) -> &mut [u8] {
        &mut self.first
    }

    /// Compares the planned keys with the file. What differs is saved as the rewind's before-images at
    /// once; an image whose rewind does not happen is no harm, it holds what is still there.
    pub(super) fn compare(&mut self, file: &mut HostFile, items: &[(Key, Source)]) -> Result<(), Error> {
        let reading = "read the database";
        let mut first = std::mem::take(&mut self.first_now);
        read_padded(file, &mut first, 0).map_err(Error::vfs(reading))?;
        self.first.copy_from_slice(&first);
        self.first_now = first;
        let mut span = Vec::with_capacity(SPAN);
        let mut rest = items;
        while let Some(&(start, _)) = rest.first() {
            let most = (SPAN / self.block).max(1);
            let run = (start.get()..).zip(rest).take(most).take_while(|(key, (item, _))| *key == item.get());
            let (run, after) = rest.split_at(run.count());
            rest = after;
            span.resize(run.len() * self.block, 0);
            read_padded(file, &mut span, self.offset(start.get())).map_err(Error::vfs(reading))?;
            for (&(key, source), now) in run.iter().zip(span.chunks_exact(self.block)) {
                self.compare_one(key.get(), source, now)?;
            }
        }
        Ok(())
    }

    fn compare_one(&mut self, key: u64, source: Source, now: &[u8]) -> Result<(), Error> {
        let at = match source {
            Source::Current => return Ok(()),
            Source::Record(at) => Some(at),
            Source::Zero => None,
            Source::Base => return Err(Error::internal("a base image in an era of before-images")),
        };
        let mut image = std::mem::take(&mut self.scratch);
        self.load(at, &mut image)?;
        if key == 1 {
            self.first.copy_from_slice(&image);
        } else if image != now {
            self.save_one(key, now)?;
            if self.held.len() == self.keys.len() * self.block && self.held.len() < HELD {
                self.held.extend_from_slice(&image);
            }
            self.keys.push(key);
            self.sources.push(at);
        }
        self.scratch = image;
        Ok(())
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
    pub(super) fn save(&mut self, file: &mut HostFile, now: Extent, then: Extent) -> Result<(), Error> {
        self.save_one(1, &self.first_now)?;
        let mut span = vec![0; (SPAN / self.block).max(1) * self.block];
        let mut next = then.get() + 1;
        while next <= now.get() {
            read_padded(file, &mut span, self.offset(next)).map_err(Error::vfs("read the database"))?;
            for (key, image) in (next..=now.get()).zip(span.chunks_exact(self.block)) {
                self.save_one(key, image)?;
                next = key + 1;
            }
        }
        Ok(())
    }

    fn offset(&self, key: u64) -> u64 {
        (key - 1) * self.block as u64
    }

    /// The image of the key at a position in `keys`.
    fn image<'a>(&'a self, position: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Error> {
        let start = position * self.block;
        if let Some(held) = self.held.get(start..start + self.block) {
            return Ok(held);
        }
        self.load(self.sources.get(position).copied().flatten(), scratch)?;
        Ok(scratch)
    }

    /// Visits the target's pages that have any of the blocks in them, ascending; a page may be smaller or
    /// larger than a block. `bytes`: the length of the file at the target.
    pub(super) fn for_each_page(
        &mut self,
        file: &mut HostFile,
        page_size: u32,
        bytes: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        let (block, size) = (self.block as u64, u64::from(page_size));
        let mut page = vec![0; page_size as usize];
        let mut scratch = Vec::new();
        let mut next = 0;
        for key in std::iter::once(1).chain(self.keys.iter().copied()) {
            let offset = self.offset(key);
            let from = (offset / size).max(next);
            let upto = ((offset + block - 1) / size + 1).min(bytes / size);
            for index in from..upto {
                self.fill(file, index * size, &mut page, &mut scratch)?;
                let number = u32::try_from(index + 1).map_err(|_| Error::internal("a page past the last"))?;
                visit(number, &page)?;
            }
            next = next.max(upto);
        }
        Ok(())
    }

    /// Puts together what is to be at an offset of the file.
    fn fill(
        &self,
        file: &mut HostFile,
        offset: u64,
        page: &mut [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let block = self.block as u64;
        let mut at = offset;
        let mut rest = page;
        while !rest.is_empty() {
            let key = at / block + 1;
            let skip = usize::try_from(at % block).unwrap_or_default();
            let (part, after) = rest.split_at_mut(rest.len().min(self.block - skip));
            let content = match (key, self.keys.binary_search(&key)) {
                (1, _) => Some(self.first.as_slice()),
                (_, Ok(position)) => Some(self.image(position, scratch)?),
                (_, Err(_)) => None,
            };
            match content.and_then(|content| content.get(skip..skip + part.len())) {
                Some(content) => part.copy_from_slice(content),
                None => read_padded(file, part, at).map_err(Error::vfs("read the database"))?,
            }
            at += part.len() as u64;
            rest = after;
        }
        Ok(())
    }

    /// Writes the blocks where they belong and gives the file its length.
    pub(super) fn write_in_place(
        &self,
        file: &mut HostFile,
        bytes: u64,
        size_now: u64,
        sync: bool,
    ) -> Result<(), Error> {
        let writing = "write the database";
        file.write(&self.first, 0).map_err(Error::vfs(writing))?;
        let mut end = size_now.max(self.block as u64);
        let mut scratch = Vec::new();
        let mut position = 0;
        while let Some(&key) = self.keys.get(position) {
            let most = (SPAN / self.block).max(1);
            let rest = self.keys.get(position..).unwrap_or_default();
            let run = (key..).zip(rest).take(most).take_while(|(wanted, key)| wanted == *key).count();
            let start = position * self.block;
            let (run, image) = match self.held.get(start..start + run * self.block) {
                Some(images) => (run, images),
                None => (1, self.image(position, &mut scratch)?),
            };
            let offset = self.offset(key);
            file.write(image, offset).map_err(Error::vfs(writing))?;
            fault::place("rollback rewind: one write in place");
            end = end.max(offset + image.len() as u64);
            position += run;
        }
        if end != bytes {
            file.truncate(bytes).map_err(Error::vfs("give the database its length"))?;
        }
        if sync { file.sync().map_err(Error::vfs("sync the database")) } else { Ok(()) }
    }
}
