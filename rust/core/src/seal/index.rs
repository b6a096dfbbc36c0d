//! What a sealed segment has: every record, found by place in the log, or by object and key.

use std::ops::{Range, RangeInclusive};

use xxhash_rust::xxh3::xxh3_64;

use crate::format::{HEADER, Head, Kind};
use crate::types::{Key, Lsn, ObjectId};

/// Most records that the body of one is made of: the time that it takes is bounded, however little they differ.
pub(super) const CHAIN: u32 = 256;

/// A frame of bodies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// Offset in the file.
    pub(super) at: u64,
    /// Length in the file.
    pub(super) packed: u32,
    /// Length of its content.
    pub(super) plain: u32,
    /// xxh3-64 of its content.
    pub(super) hash: u64,
    /// Number of its first record.
    pub(super) first: u32,
}

/// Records of one object, class and key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Group {
    /// The object.
    pub(super) object: u32,
    /// Whether they are images; else they are moments.
    pub(super) image: bool,
    /// The key.
    pub(super) key: u64,
    /// Number of its first record.
    pub(super) first: u32,
}

impl Group {
    fn order(&self) -> (u32, bool, u64) {
        (self.object, self.image, self.key)
    }
}

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// When.
    pub(super) lsn: u64,
    /// Index of its group.
    pub(super) group: u32,
    /// Offset in the segment that was sealed.
    pub(super) offset: u32,
    /// Length of the body.
    pub(super) len: u32,
    /// Where its bytes begin in its frame's content.
    pub(super) start: u32,
    /// How many bytes those are.
    pub(super) stored: u32,
    /// What it says.
    pub(super) kind: Kind,
    /// Bits of the kind.
    pub(super) flags: u8,
    /// What the bytes are.
    pub(super) stored_as: StoredAs,
}

/// What stands in a frame for a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StoredAs {
    /// The body itself.
    Whole,
    /// By the record before it, in the same frame.
    Next,
    /// By the oldest image of its key in the first segment behind this one that has any.
    Leaning,
}

/// All of it, sorted by object, class, key, LSN and offset; of version 3 the images of a key by descending LSN and offset.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(super) frames: Vec<Frame>,
    pub(super) groups: Vec<Group>,
    pub(super) entries: Vec<Entry>,
    /// Numbers of the records in log order.
    pub(super) in_log: Vec<u32>,
    /// The newest segment whose images bodies are made of; 0: none is.
    pub(super) reach: u32,
    /// Whether bodies are made of newer ones by differences; else, as before version 3 of the layout, of older ones by runs.
    pub(super) newest_first: bool,
}

/// Files whose number is a multiple of this lean on none, so that no body is made of images in more than so many.
pub(crate) const FARTHEST: u32 = 8;

/// The newest segment that this one may lean on.
pub(crate) fn farthest(id: u32) -> u32 {
    id.checked_next_multiple_of(FARTHEST).unwrap_or(id)
}

/// What stands before the difference of a body that leans: whether it was made of the right one is not for its frame to tell.
pub(super) fn leaning_check(body: &[u8]) -> [u8; 4] {
    (xxh3_64(body) as u32).to_le_bytes()
}

/// Whether records of this kind are images, for which keys are looked up; everything else tells of moments.
pub(crate) fn is_image(kind: Kind) -> bool {
    matches!(kind, Kind::After | Kind::Before | Kind::Base | Kind::Cut)
}

impl Index {
    /// The record at this offset of the segment.
    pub(super) fn find(&self, offset: u32) -> Option<u32> {
        let number = *self.in_log.get(self.position(offset))?;
        (self.entry(number)?.offset == offset).then_some(number)
    }

    /// How many records stand before this offset.
    fn position(&self, offset: u32) -> usize {
        self.in_log.partition_point(|&number| self.entry(number).is_some_and(|entry| entry.offset < offset))
    }

    /// The records at or after an offset, in log order: head, offset, length of the body, offset behind it.
    pub(crate) fn after(&self, offset: u32) -> impl Iterator<Item = (Head, u32, u32, u32)> {
        let numbers = self.in_log.get(self.position(offset)..).unwrap_or_default();
        numbers.iter().filter_map(|&number| {
            let entry = self.entry(number)?;
            let behind = u64::from(entry.offset) + crate::format::span(entry.len);
            Some((self.head(entry)?, entry.offset, entry.len, u32::try_from(behind).unwrap_or(u32::MAX)))
        })
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn weight(&self) -> usize {
        self.entries.len() * (size_of::<Entry>() + 4)
            + self.groups.len() * size_of::<Group>()
            + self.frames.len() * size_of::<Frame>()
    }

    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    pub(super) fn head(&self, entry: &Entry) -> Option<Head> {
        let group = self.groups.get(entry.group as usize)?;
        Some(Head {
            kind: entry.kind,
            flags: entry.flags,
            object: ObjectId::new(group.object),
            key: Key::new(group.key),
            lsn: Lsn::new(entry.lsn),
        })
    }

    /// The frame of a record, and which one it is.
    pub(super) fn frame_of(&self, number: u32) -> Option<(u32, &Frame)> {
        let at = self.frames.partition_point(|frame| frame.first <= number).checked_sub(1)?;
        Some((u32::try_from(at).ok()?, self.frames.get(at)?))
    }

    /// The records that make the body of this one, first the one that needs no other record here.
    pub(super) fn chain(&self, number: u32) -> RangeInclusive<u32> {
        let mut first = number;
        while first > 0 && self.entry(first).is_some_and(|entry| entry.stored_as == StoredAs::Next) {
            first -= 1;
        }
        first..=number
    }

    /// The oldest image of a key.
    pub(super) fn oldest(&self, object: u32, key: u64) -> Option<u32> {
        let found = self.groups.binary_search_by_key(&(object, true, key), Group::order).ok()?;
        let members = self.members(found);
        if self.newest_first { members.end.checked_sub(1) } else { Some(members.start) }
    }

    fn members(&self, group: usize) -> Range<u32> {
        let all = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let first = |at: usize| self.groups.get(at).map_or(all, |group| group.first);
        first(group)..first(group + 1)
    }

    /// Puts the records in log order; `None` if two of them overlap, or one is not in a segment of this size.
    pub(super) fn sort_log(&mut self, size: u64) -> Option<()> {
        let in_log = by_offset(&self.entries, size)?;
        let mut end = crate::format::segment::HEADER_LEN as u64;
        for &number in &in_log {
            let entry = self.entries.get(number as usize)?;
            let from = u64::from(entry.offset);
            if from < end || !from.is_multiple_of(8) {
                return None;
            }
            end = from + crate::format::span(entry.len);
        }
        self.in_log = in_log;
        (end <= size).then_some(())
    }
}

/// The numbers of records by offset, found by counting, which takes a fraction of the time of comparing: a segment's records are spread
/// all over it, so that of as many stretches as there are records most have one or two. `None` if one is not in a segment of this size.
fn by_offset(entries: &[Entry], size: u64) -> Option<Vec<u32>> {
    let count = u32::try_from(entries.len()).ok()?;
    let width = (size / u64::from(count.max(1))).max(1).ilog2();
    let stretch = |entry: &Entry| usize::try_from(u64::from(entry.offset) >> width).ok();
    // Where each stretch begins, and then, as its records are put there, how far it is filled.
    let mut filled = vec![0_u32; usize::try_from(size >> width).ok()? + 2];
    for entry in entries {
        *filled.get_mut(stretch(entry)? + 1)? += 1;
    }
    let mut before = 0;
    for from in &mut filled {
        before += *from;
        *from = before;
    }
    let mut sorted = vec![(0, 0); entries.len()];
    for (number, entry) in (0_u32..).zip(entries) {
        let at = filled.get_mut(stretch(entry)?)?;
        *sorted.get_mut(*at as usize)? = (entry.offset, number);
        *at += 1;
    }
    let mut from = 0;
    for upto in filled {
        let upto = upto as usize;
        if upto > from + 1 {
            sorted.get_mut(from..upto)?.sort_unstable();
        }
        from = upto;
    }
    Some(sorted.into_iter().map(|(_, number)| number).collect())
}

const _: () = assert!(size_of::<Entry>() == 32 && HEADER == 40);

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(offsets: &[u32]) -> Vec<Entry> {
        let entry = |&offset: &u32| Entry {
            lsn: 1,
            group: 0,
            offset,
            len: 0,
            start: 0,
            stored: 0,
            kind: Kind::After,
            flags: 0,
            stored_as: StoredAs::Whole,
        };
        offsets.iter().map(entry).collect()
    }

    #[test]
    fn records_are_ordered_by_offset_however_they_are_spread() {
        let spread: Vec<u32> = (0..5000_u32).map(|i| i.wrapping_mul(0x9e37_79b9) >> 3 << 3).collect();
        let close: Vec<u32> = (0..5000).rev().map(|i| 64 + 8 * i).collect();
        let apart = [8, (1 << 30) - 8, 1 << 29, 16, (1 << 30) - 16].to_vec();
        for offsets in [spread, close, apart, vec![48], Vec::new()] {
            let entries = entries(&offsets);
            let mut expected: Vec<u32> = (0..offsets.len() as u32).collect();
            expected.sort_by_key(|&number| offsets[number as usize]);
            assert_eq!(by_offset(&entries, 1 << 32), Some(expected));
        }
    }

    #[test]
    fn what_is_behind_the_end_or_not_apart_is_no_index() {
        let mut index = Index { entries: entries(&[64, 4096]), ..Index::default() };
        assert_eq!((index.sort_log(8192), &index.in_log[..]), (Some(()), &[0, 1][..]));
        assert_eq!(index.sort_log(4096), None, "one begins where the segment ends");
        assert_eq!(index.sort_log(0), None);
        index.entries = entries(&[4096, 64, 4096]);
        assert_eq!(index.sort_log(8192), None, "two at one place");
        index.entries = entries(&[8, 4096]);
        assert_eq!(index.sort_log(8192), None, "one within the header");
        for size in [1 << 33, u64::MAX] {
            index.entries = entries(&[64, u32::MAX - 7]);
            assert_eq!(index.sort_log(size), Some(()), "few records of a large segment take little memory");
        }
    }
}
