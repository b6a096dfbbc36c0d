//! The pages of a moment, as SQLite's file format has them.

use std::collections::BTreeSet;

use super::btree::{PageKind, TreePage};
use crate::as_of::View;
use crate::error::Error;
use crate::file::{self, Header};

/// SQLite's lock bytes; the page there is never used.
const PENDING_BYTE: u64 = 0x4000_0000;

/// The database file at one moment.
pub(super) trait Past {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Bytes of what the log speaks of.
    fn block(&self) -> u64;

    /// Reads bytes; past the end they are zeros.
    fn read(&mut self, out: &mut [u8], offset: u64) -> Result<(), Error>;
}

impl Past for View {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn block(&self) -> u64 {
        Self::block(self)
    }

    fn read(&mut self, out: &mut [u8], offset: u64) -> Result<(), Error> {
        Self::read(self, out, offset)
    }
}

/// See the module.
pub(super) struct Pages {
    past: Box<dyn Past>,
    /// Bytes of a page.
    pub(super) size: u32,
    /// Bytes of it that are used.
    pub(super) usable: usize,
    /// How many there are.
    pub(super) count: u32,
    /// 1 UTF-8, 2 UTF-16 little-endian, 3 big-endian.
    pub(super) encoding: u32,
    /// The application's number in page 1, as a pragma sets it.
    pub(super) user_version: i64,
    /// Its other one.
    pub(super) application_id: i64,
    /// Pages that were read for the records of overflow chains.
    pub(super) followed: BTreeSet<u32>,
    /// Pages that were read to see where overflow chains go.
    passed: BTreeSet<u32>,
    /// How many pages were read.
    pub(super) read: u64,
    first_trunk: u32,
    auto_vacuum: bool,
}

impl Pages {
    pub(super) fn new(mut past: impl Past + 'static) -> Result<Self, Error> {
        let mut start = [0; Header::LEN];
        past.read(&mut start, 0)?;
        let Some(header) = Header::parse(&start) else {
            // No bytes: a database without anything.
            return Ok(Self {
                size: u32::try_from(past.block()).unwrap_or(0),
                past: Box::new(past),
                usable: 0,
                count: 0,
                encoding: 1,
                user_version: 0,
                application_id: 0,
                followed: BTreeSet::new(),
                passed: BTreeSet::new(),
                read: 0,
                first_trunk: 0,
                auto_vacuum: false,
            });
        };
        let size = header.page_size;
        let reserved = start.get(20).copied().unwrap_or(0);
        let held = u32::try_from(past.size() / u64::from(size)).unwrap_or(u32::MAX);
        Ok(Self {
            past: Box::new(past),
            size,
            usable: (size as usize).saturating_sub(usize::from(reserved)),
            count: header.pages.unwrap_or(held).min(held),
            encoding: file::number(&start, 56),
            user_version: i64::from(file::number(&start, 60).cast_signed()),
            application_id: i64::from(file::number(&start, 68).cast_signed()),
            followed: BTreeSet::new(),
            passed: BTreeSet::new(),
            read: 1,
            first_trunk: file::number(&start, file::FIRST_TRUNK),
            auto_vacuum: file::number(&start, 52) != 0,
        })
    }

    /// Bytes of what the log speaks of.
    pub(super) fn block(&self) -> u64 {
        self.past.block()
    }

    /// A whole page.
    pub(super) fn page(&mut self, number: u32) -> Result<Vec<u8>, Error> {
        if number == 0 || number > self.count {
            return Err(damaged(&format!("it names page {number} of {}", self.count)));
        }
        let mut page = vec![0; self.size as usize];
        self.past.read(&mut page, u64::from(number - 1) * u64::from(self.size))?;
        self.read += 1;
        Ok(page)
    }

    /// A page of an overflow chain, for its part of a record. Each is of one record, and a record is read once: so a chain has
    /// an end, and all records together are no longer than the database.
    pub(super) fn follow(&mut self, number: u32) -> Result<Vec<u8>, Error> {
        if self.followed.insert(number) { self.page(number) } else { Err(twice(number)) }
    }

    /// The same, to see where the chain goes.
    pub(super) fn pass(&mut self, number: u32) -> Result<Vec<u8>, Error> {
        if self.passed.insert(number) { self.page(number) } else { Err(twice(number)) }
    }

    /// Refuses to look at more pages of a table than there are.
    pub(super) fn check_pages(&self, of_a_table: usize) -> Result<(), Error> {
        let possible = u32::try_from(of_a_table).is_ok_and(|pages| pages <= self.count);
        if possible { Ok(()) } else { Err(damaged("a table goes in a circle")) }
    }

    /// All records of a small table with rowids.
    pub(super) fn records(&mut self, root: u32) -> Result<Vec<Vec<u8>>, Error> {
        let (mut records, mut next, mut visited) = (Vec::new(), vec![root], 0);
        while let Some(number) = next.pop() {
            visited += 1;
            let page = TreePage::read(self, number)?;
            next.extend(page.children());
            self.check_pages(visited + next.len())?;
            for cell in page.rows()? {
                records.push(cell.record(self)?);
            }
        }
        Ok(records)
    }

    /// Whether it begins as a page of a tree does. One of an overflow chain does not, in a database of less than 2^25 pages.
    pub(super) fn is_of_a_tree(&mut self, number: u32) -> Result<bool, Error> {
        Ok(self.count < 1 << 25 && PageKind::of(&self.page(number)?, number).is_some())
    }

    /// Whether it is a page of pointers that only `auto_vacuum` has.
    pub(super) fn is_map(&self, page: u32) -> bool {
        let each = u32::try_from(self.usable / 5 + 1).unwrap_or(1).max(1);
        let lock = u32::try_from(PENDING_BYTE / u64::from(self.size.max(1)) + 1).unwrap_or(0);
        if !self.auto_vacuum || page < 2 {
            return page == lock;
        }
        let place = (page - 2) / each * each + 2;
        let place = if place == lock { place + 1 } else { place };
        page == place || page == lock
    }

    /// The pages of the free list.
    pub(super) fn free(&mut self) -> Result<BTreeSet<u32>, Error> {
        let mut free = BTreeSet::new();
        let mut trunk = self.first_trunk;
        while trunk != 0 && free.insert(trunk) {
            let page = self.page(trunk)?;
            let count = (file::number(&page, 4) as usize).min(self.usable / 4);
            free.extend((0..count).map(|leaf| file::number(&page, 8 + 4 * leaf)));
            trunk = file::number(&page, 0);
        }
        Ok(free)
    }
}

fn twice(number: u32) -> Error {
    damaged(&format!("page {number} is part of a long value twice"))
}

/// What was read is not as SQLite writes it.
pub(super) fn damaged(what: &str) -> Error {
    Error::Unsupported {
        what: format!("the database was damaged at that moment: {what}; compare copies of both moments"),
    }
}
