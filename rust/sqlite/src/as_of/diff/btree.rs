//! Pages of trees and their cells (SQLite's file format, "B-tree Pages").

use std::collections::BTreeSet;

use super::pages::{Pages, damaged};
use crate::error::Error;
use crate::file::{Header, number};

/// What a page of a tree is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PageKind {
    /// Inner page of a table with rowids: no rows.
    TableInner,
    /// Rows with rowids.
    TableLeaf,
    /// Inner page of a tree of records: each cell is one, too.
    RecordInner,
    /// Records.
    RecordLeaf,
}

impl PageKind {
    /// As the first byte says, behind the header on page 1.
    pub(super) fn of(page: &[u8], number: u32) -> Option<Self> {
        match page.get(start(number))? {
            2 => Some(Self::RecordInner),
            5 => Some(Self::TableInner),
            10 => Some(Self::RecordLeaf),
            13 => Some(Self::TableLeaf),
            _ => None,
        }
    }

    pub(super) fn is_inner(self) -> bool {
        matches!(self, Self::TableInner | Self::RecordInner)
    }

    pub(super) fn has_rowids(self) -> bool {
        matches!(self, Self::TableInner | Self::TableLeaf)
    }
}

fn start(number: u32) -> usize {
    if number == 1 { Header::LEN } else { 0 }
}

/// One page of a tree.
pub(super) struct TreePage {
    bytes: Vec<u8>,
    number: u32,
    pub(super) kind: PageKind,
    usable: usize,
}

/// A row, or a record of a tree of records.
pub(super) struct Cell {
    /// `None`: a tree of records.
    pub(super) rowid: Option<i64>,
    /// Bytes of the whole record.
    len: usize,
    /// What of it is on this page.
    local: Vec<u8>,
    /// Where it goes on; 0: nowhere.
    overflow: u32,
}

impl TreePage {
    pub(super) fn read(pages: &mut Pages, number: u32) -> Result<Self, Error> {
        let bytes = pages.page(number)?;
        let kind = PageKind::of(&bytes, number)
            .ok_or_else(|| damaged(&format!("page {number} is not one of a table")))?;
        Ok(Self { bytes, number, kind, usable: pages.usable })
    }

    fn word(&self, at: usize) -> usize {
        let byte = |at: usize| usize::from(self.bytes.get(at).copied().unwrap_or(0));
        byte(at) << 8 | byte(at + 1)
    }

    fn cells(&self) -> impl Iterator<Item = usize> {
        let head = start(self.number);
        let first = head + if self.kind.is_inner() { 12 } else { 8 };
        let count = self.word(head + 3).min(self.usable / 2);
        (0..count).map(move |cell| self.word(first + 2 * cell))
    }

    /// The pages below, of an inner page.
    pub(super) fn children(&self) -> Vec<u32> {
        if !self.kind.is_inner() {
            return Vec::new();
        }
        let last = number(&self.bytes, start(self.number) + 8);
        self.cells().map(|at| number(&self.bytes, at)).chain([last]).collect()
    }

    /// The rows on the page.
    pub(super) fn rows(&self) -> Result<Vec<Cell>, Error> {
        match self.kind {
            PageKind::TableInner => Ok(Vec::new()),
            _ => {
                let mut room = self.bytes.len();
                let cell = |at| {
                    let cell = self.cell(at)?;
                    let overlap = || damaged(&format!("rows of page {} overlap", self.number));
                    room = room.checked_sub(cell.local.len()).ok_or_else(overlap)?;
                    Ok(cell)
                };
                self.cells().map(cell).collect()
            }
        }
    }

    fn cell(&self, at: usize) -> Result<Cell, Error> {
        let broken = || damaged(&format!("a row of page {} ends past it", self.number));
        let rest = self.bytes.get(at..).ok_or_else(broken)?;
        let rest = if self.kind == PageKind::RecordInner { rest.get(4..).ok_or_else(broken)? } else { rest };
        let (len, used) = varint(rest).ok_or_else(broken)?;
        let mut rest = rest.get(used..).ok_or_else(broken)?;
        let mut rowid = None;
        if self.kind == PageKind::TableLeaf {
            let (id, used) = varint(rest).ok_or_else(broken)?;
            rowid = Some(id.cast_signed());
            rest = rest.get(used..).ok_or_else(broken)?;
        }
        let len = usize::try_from(len).ok().filter(|len| *len <= 1 << 31).ok_or_else(broken)?;
        let here = self.local(len);
        let local = rest.get(..here).ok_or_else(broken)?.to_vec();
        let overflow = if here < len { number(rest.get(here..here + 4).ok_or_else(broken)?, 0) } else { 0 };
        Ok(Cell { rowid, len, local, overflow })
    }

    /// How many bytes of a record are on the page itself.
    fn local(&self, len: usize) -> usize {
        let usable = self.usable;
        let most = match self.kind {
            PageKind::TableLeaf => usable.saturating_sub(35),
            _ => (usable.saturating_sub(12) * 64 / 255).saturating_sub(23),
        };
        if len <= most {
            return len;
        }
        let least = (usable.saturating_sub(12) * 32 / 255).saturating_sub(23);
        let fitting = least + (len - least) % usable.saturating_sub(4).max(1);
        if fitting <= most { fitting } else { least }
    }
}

impl Cell {
    /// The whole record.
    pub(super) fn record(self, pages: &mut Pages) -> Result<Vec<u8>, Error> {
        let mut record = self.local;
        let mut next = self.overflow;
        while record.len() < self.len {
            let page = pages.follow(next)?;
            let more = (self.len - record.len()).min(pages.usable.saturating_sub(4));
            let part = page.get(4..4 + more).filter(|part| !part.is_empty());
            record.extend_from_slice(part.ok_or_else(|| damaged("a long value ends too early"))?);
            next = number(&page, 0);
        }
        Ok(record)
    }

    /// Whether a part of it is on one of these pages. To be asked once of each cell.
    pub(super) fn is_on(&self, pages: &mut Pages, on: &BTreeSet<u32>) -> Result<bool, Error> {
        let (mut next, mut left) = (self.overflow, self.len - self.local.len());
        while left > 0 {
            if on.contains(&next) {
                return Ok(true);
            }
            left = left.saturating_sub(pages.usable.saturating_sub(4).max(1));
            if left > 0 {
                next = number(&pages.pass(next)?, 0);
            }
        }
        Ok(false)
    }
}

/// A number of 1 to 9 bytes, and how many they were.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for at in 0..8 {
        let byte = *bytes.get(at)?;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    Some((value << 8 | u64::from(*bytes.get(8)?), 9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_read() {
        assert_eq!(varint(&[5, 9]), Some((5, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0xff; 8]), None);
        assert_eq!(varint(&[]), None);
    }
}
