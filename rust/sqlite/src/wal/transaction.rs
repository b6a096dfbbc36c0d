//! Writing frames ourselves: one WAL transaction, as SQLite would write it.

use dbrewind_core::{Key, Source};

use super::core::Core;
use super::header::FrameHeader;
use crate::checksum::{ByteOrder, Checksum, Salt};
use crate::counters;
use crate::error::Error;
use crate::file::Header;
use crate::file::{self, PageOne};
use crate::options::Synchronous;
use crate::progress::Steps;

/// Images up to this many bytes are held in memory; more are checked in a first pass and read again.
const HELD: usize = 64 * 1024 * 1024;
/// Bytes that are written at once.
const CHUNK: usize = 1024 * 1024;

/// Where a transaction goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The last frame before it.
    pub(crate) after: u32,
    /// That frame's checksum.
    pub(crate) checksum: Checksum,
    pub(crate) order: ByteOrder,
    pub(crate) salt: Salt,
}

/// Builds frames one after the other.
struct Frames {
    place: Place,
    sum: Checksum,
    bytes: Vec<u8>,
}

impl Frames {
    fn new(place: Place) -> Self {
        Self { place, sum: place.checksum, bytes: Vec::new() }
    }

    fn push(&mut self, page: u32, commit: u32, image: &[u8]) {
        let Place { order, salt, .. } = self.place;
        self.sum = FrameHeader::append_frame(&mut self.bytes, order, self.sum, salt, (page, commit), image);
    }
}

/// A page 1 that no connection has seen, and the counters in it.
#[derive(Clone, Debug)]
pub(crate) struct FreshPageOne {
    pub(crate) image: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) cookie: u32,
}

impl Core {
    /// Makes the page 1 of another moment presentable: `now` is the present one, `pages` the length at that
    /// moment.
    pub(crate) fn fresh_page_one(
        &mut self,
        mut image: Vec<u8>,
        now: PageOne,
        pages: u32,
    ) -> Result<FreshPageOne, Error> {
        let then = PageOne::read(&image).ok_or_else(|| Error::internal("page 1 has 100 bytes"))?;
        let counter = self.counter_above(&[now.counter, then.counter]);
        let cookie = self.cookie_for(then.cookie, now.cookie)?;
        file::move_forward(&mut image, now.modes, counter, cookie, pages);
        Ok(FreshPageOne { image, counter, cookie })
    }

    /// The schema of `then` under a cookie that stands for nothing else. If the schema is the present one, its
    /// present cookie: nobody has to parse it again.
    fn cookie_for(&mut self, then: u32, now: u32) -> Result<u32, Error> {
        let first = |cookie: u32| self.first_cookies.get(&cookie).copied().unwrap_or(cookie);
        let (root, present) = (first(then), first(now));
        if root == present {
            return Ok(now);
        }
        let fresh = counters::fresh_cookie(self.registers().cookie().max(then).max(now))?;
        self.first_cookies.insert(fresh, root);
        Ok(fresh)
    }

    /// A change counter that no page 1 has had, these least of all.
    pub(crate) fn counter_above(&self, these: &[u32]) -> u32 {
        self.registers().counter_above_all(these, 1)
    }

    /// Remembers the counters of a page 1 that is about to be published.
    pub(crate) fn note_counters(&self, one: &FreshPageOne) {
        self.note_numbers(one.counter, one.cookie);
    }

    /// Remembers numbers of a page 1 that somebody has published.
    pub(crate) fn note_numbers(&self, counter: u32, cookie: u32) {
        self.registers().raise_counter(counter);
        self.registers().raise_cookie(cookie);
    }

    /// One page-1 commit frame.
    pub(crate) fn one_frame(place: Place, one: &FreshPageOne, pages: u32) -> (Vec<u8>, Checksum) {
        let mut frames = Frames::new(place);
        frames.push(1, pages, &one.image);
        (frames.bytes, frames.sum)
    }

    /// Reads an image of a plan. The store checks its hash.
    fn image(&mut self, key: Key, source: Source, out: &mut Vec<u8>) -> Result<u32, Error> {
        let page = u32::try_from(key.get()).ok().filter(|page| *page > 0);
        let page = page.ok_or_else(|| Error::internal(format!("{key} is no page number")))?;
        let size = self.page_size as usize;
        match source {
            Source::Record(at) => {
                self.store.read_into(at, out)?;
                if out.len() != size {
                    return Err(dbrewind_core::ReadError::Damaged {
                        what: format!("the image at {at} has {} bytes, a page has {size}", out.len()),
                    }
                    .into());
                }
            }
            Source::Base => {
                out.clear();
                out.resize(size, 0);
                self.read_below(page, out)?;
            }
            Source::Zero => {
                out.clear();
                out.resize(size, 0);
            }
            other => return Err(Error::internal(format!("a WAL plan has the source {other:?}"))),
        }
        Ok(page)
    }

    /// In WAL mode the size of the pages cannot change, not even back.
    fn check_page_size(&self, first_page: &[u8]) -> Result<(), Error> {
        match Header::parse(first_page) {
            Some(header) if header.page_size != self.page_size => Err(Error::Unsupported {
                what: format!(
                    "at that moment the database had pages of {} bytes, now they have {}, which WAL mode cannot \
                     change; close every connection, open with journal=\"delete\", and rewind then",
                    header.page_size, self.page_size
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Writes the items of a plan, page 1 last and as the commit frame, behind `place`. All images are read and
    /// checked before the first byte is written. Nothing is published. Answers the pages in frame order and the
    /// last checksum.
    pub(crate) fn write_transaction(
        &mut self,
        place: Place,
        items: &[(Key, Source)],
        pages: u32,
        now: PageOne,
    ) -> Result<(Vec<u32>, Checksum, FreshPageOne), Error> {
        let mut image = Vec::new();
        let mut first_page = vec![0; self.page_size as usize];
        // Unless the plan says otherwise, page 1 is the present one.
        self.read_start(1, place.after, &mut first_page)?;
        let rest: Vec<_> = items.iter().copied().filter(|(key, _)| key.get() != 1).collect();
        if let Some((key, source)) = items.iter().find(|(key, _)| key.get() == 1) {
            self.image(*key, *source, &mut image)?;
            first_page.clone_from(&image);
        }
        self.check_page_size(&first_page)?;
        let held = rest.len().saturating_mul(self.page_size as usize) <= HELD;
        let mut frames = Frames::new(place);
        let mut numbers = Vec::with_capacity(rest.len() + 1);
        let mut steps = Steps::of(rest.len() as u64 * if held { 1 } else { 2 });
        if !held {
            for (key, source) in &rest {
                self.image(*key, *source, &mut image)?;
                steps.add(1);
            }
        }
        let one = self.fresh_page_one(first_page, now, pages)?;
        let mut written = place.after;
        for (key, source) in rest {
            let page = self.image(key, source, &mut image)?;
            numbers.push(page);
            frames.push(page, 0, &image);
            steps.add(1);
            if !held && frames.bytes.len() >= CHUNK {
                self.wal.write_frames(written + 1, &frames.bytes)?;
                written = place.after + frame_count(&numbers)?;
                frames.bytes.clear();
            }
        }
        frames.push(1, pages, &one.image);
        numbers.push(1);
        frame_count(&numbers)?.checked_add(place.after).ok_or_else(|| Error::internal("too many frames"))?;
        self.wal.write_frames(written + 1, &frames.bytes)?;
        if self.synchronous == Synchronous::Full {
            self.wal.sync()?;
        }
        Ok((numbers, frames.sum, one))
    }
}

fn frame_count(numbers: &[u32]) -> Result<u32, Error> {
    u32::try_from(numbers.len()).map_err(|_| Error::internal("a transaction of more than 2^32 frames"))
}
