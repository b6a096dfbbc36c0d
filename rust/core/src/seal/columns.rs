//! The index as bytes: columns of numbers, packed. `rust/docs/sealing.md` has the layout.

use std::io;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::frame::{Packer, unpack};
use super::header::BadSeal;
use super::index::{CHAIN, Entry, Frame, Group, Index, StoredAs, is_image};
use super::varint::{Numbers, put, put_step};
use crate::format::Kind;
use crate::format::bytes::{u32_at, u64_at};

/// Counts, length of the columns, hash.
pub(super) const HEAD: usize = 32;
const HASHED: usize = 24;
/// What one record, group or frame takes in the columns at most: six numbers of ten bytes.
const LONGEST: u64 = 60;

/// The content of the index's frame.
pub(super) fn encode(index: &Index, packer: &mut Packer) -> io::Result<Vec<u8>> {
    let mut counts = Vec::new();
    for count in [index.frames.len(), index.groups.len(), index.entries.len(), index.reach as usize] {
        let count = u32::try_from(count).map_err(|_| io::ErrorKind::FileTooLarge)?;
        counts.extend(count.to_le_bytes());
    }
    with_hash(counts, &columns(index), packer)
}

/// The same, of the counts and the columns.
pub(super) fn with_hash(mut out: Vec<u8>, columns: &[u8], packer: &mut Packer) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    packer.pack(columns, &mut packed)?;
    out.extend((columns.len() as u64).to_le_bytes());
    let hash = hash(&out, &packed);
    out.extend(hash.to_le_bytes());
    out.extend(packed);
    Ok(out)
}

/// The hash that an index of these bytes has.
pub(super) fn stamp(bytes: &[u8]) -> u64 {
    u64_at(bytes, HASHED).unwrap_or_default()
}

fn hash(head: &[u8], packed: &[u8]) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(head);
    hasher.update(packed);
    hasher.digest()
}

fn columns(index: &Index) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = Group { object: 0, image: false, key: 0, first: 0 };
    let firsts = index.groups.iter().skip(1).map(|group| group.first);
    let ends = firsts.chain([u32::try_from(index.entries.len()).unwrap_or(u32::MAX)]);
    for (group, end) in index.groups.iter().zip(ends) {
        let same = (group.object, group.image) == (last.object, last.image);
        put(&mut out, u64::from(group.object.wrapping_sub(last.object)) << 1 | u64::from(group.image));
        put(&mut out, if same { group.key.wrapping_sub(last.key) } else { group.key });
        put(&mut out, u64::from(end.saturating_sub(group.first)));
        last = *group;
    }
    let mut column = |of: &dyn Fn(&Entry) -> u64| {
        let mut last = 0;
        for entry in &index.entries {
            let value = of(entry);
            put_step(&mut out, last, value);
            last = value;
        }
    };
    column(&|entry| entry.lsn);
    column(&|entry| u64::from(entry.offset / 8));
    column(&|entry| u64::from(entry.len));
    out.extend(index.entries.iter().map(|entry| entry.kind as u8));
    out.extend(index.entries.iter().map(|entry| entry.flags));
    for entry in &index.entries {
        put(&mut out, if entry.stored_as == StoredAs::Whole { 0 } else { u64::from(entry.stored) + 1 });
    }
    let firsts = index.frames.iter().skip(1).map(|frame| frame.first);
    let ends = firsts.chain([u32::try_from(index.entries.len()).unwrap_or(u32::MAX)]);
    for (frame, end) in index.frames.iter().zip(ends) {
        put(&mut out, u64::from(end.saturating_sub(frame.first)));
        put(&mut out, u64::from(frame.packed));
        put(&mut out, u64::from(frame.plain));
        out.extend(frame.hash.to_le_bytes());
    }
    out
}

/// Reads an index of a file in which the bodies end where this room does, of a segment of `size` bytes.
pub(super) fn decode(
    bytes: &[u8],
    newest_first: bool,
    bodies: Range<u64>,
    size: u64,
) -> Result<Index, BadSeal> {
    let damaged = BadSeal::Malformed("has an index that does not match its hash");
    let (head, packed) = bytes.split_at_checked(HEAD).ok_or(damaged)?;
    let counted = head.get(..HASHED).ok_or(damaged)?;
    if u64_at(head, HASHED) != Some(hash(counted, packed)) {
        return Err(damaged);
    }
    let impossible = BadSeal::Malformed("has an impossible index");
    parse(head, packed, newest_first, bodies, size).ok_or(impossible)
}

fn parse(head: &[u8], packed: &[u8], newest_first: bool, bodies: Range<u64>, size: u64) -> Option<Index> {
    let (frames, groups, records) = (u32_at(head, 0)?, u32_at(head, 4)?, u32_at(head, 8)?);
    // Each record took 40 bytes of the segment; a group and a frame have one at least.
    let possible = u64::from(records) <= size / 40 && groups <= records && frames <= records;
    let len = u64_at(head, 16)?;
    let most = (u64::from(records) + u64::from(groups) + u64::from(frames)) * LONGEST;
    if !possible || len > most {
        return None;
    }
    let mut columns = Vec::new();
    unpack(packed, usize::try_from(len).ok()?, &mut columns)?;
    let mut from = Numbers::new(&columns);
    let mut index = Index { reach: u32_at(head, 12)?, newest_first, ..Index::default() };
    index.entries.try_reserve_exact(records as usize).ok()?;
    take_groups(&mut index, &mut from, groups, records)?;
    take_columns(&mut index, &mut from)?;
    take_frames(&mut index, &mut from, frames, bodies)?;
    if !from.is_empty() {
        return None;
    }
    index.sort_log(size)?;
    Some(index)
}

/// The groups, and a record with nothing in it for each of theirs.
fn take_groups(index: &mut Index, from: &mut Numbers<'_>, groups: u32, records: u32) -> Option<()> {
    let mut last: Option<Group> = None;
    for at in 0..groups {
        let said = from.number()?;
        let base = last.map_or(0, |last| last.object);
        let object = base.checked_add(u32::try_from(said >> 1).ok()?)?;
        let image = said & 1 == 1;
        let mut key = from.number()?;
        let count = from.short().filter(|count| *count > 0)?;
        let first = u32::try_from(index.entries.len()).ok()?;
        if let Some(last) = last {
            if (object, image) < (last.object, last.image) {
                return None;
            }
            if (object, image) == (last.object, last.image) {
                key = last.key.checked_add(key).filter(|_| key > 0)?;
            }
        }
        let group = Group { object, image, key, first };
        if count > records - first {
            return None;
        }
        let none = Entry {
            lsn: 0,
            group: at,
            offset: 0,
            len: 0,
            start: 0,
            stored: 0,
            kind: Kind::End,
            flags: 0,
            stored_as: StoredAs::Whole,
        };
        index.entries.resize(index.entries.len() + count as usize, none);
        index.groups.push(group);
        last = Some(group);
    }
    (index.entries.len() == records as usize).then_some(())
}

fn take_columns(index: &mut Index, from: &mut Numbers<'_>) -> Option<()> {
    let groups = &index.groups;
    let entries = &mut index.entries;
    let mut last = 0;
    for entry in entries.iter_mut() {
        last = from.step(last)?;
        entry.lsn = last;
    }
    let mut last = 0;
    for entry in entries.iter_mut() {
        last = from.short_step(last)?;
        entry.offset = last.checked_mul(8)?;
    }
    let mut last = 0;
    for entry in entries.iter_mut() {
        last = from.short_step(last)?;
        (entry.len, entry.stored) = (last, last);
    }
    let kinds = from.bytes(entries.len())?;
    let flags = from.bytes(entries.len())?;
    for ((entry, kind), flags) in entries.iter_mut().zip(kinds).zip(flags) {
        entry.kind = Kind::from_raw(*kind).filter(|kind| *kind != Kind::End)?;
        entry.flags = *flags;
        if is_image(entry.kind) != groups.get(entry.group as usize)?.image {
            return None;
        }
    }
    let mut before: Option<Entry> = None;
    for entry in entries.iter_mut() {
        if let Some(stored) = from.short()?.checked_sub(1) {
            // Runs are only written where they are shorter: what is unpacked stays within what is told.
            if stored > entry.len {
                return None;
            }
            entry.stored_as = StoredAs::Next;
            entry.stored = stored;
        }
        let sibling = before.filter(|before| before.group == entry.group);
        let (when, reversed) = ((entry.lsn, entry.offset), index.newest_first && is_image(entry.kind));
        let ordered =
            |it: Entry| if reversed { when < (it.lsn, it.offset) } else { (it.lsn, it.offset) < when };
        if !sibling.is_none_or(ordered) {
            return None;
        }
        before = Some(*entry);
    }
    Some(())
}

fn take_frames(index: &mut Index, from: &mut Numbers<'_>, frames: u32, bodies: Range<u64>) -> Option<()> {
    let mut at = 0_u64;
    let mut first = 0_u32;
    for _ in 0..frames {
        let count = from.short().filter(|count| *count > 0)?;
        let (packed, plain) = (from.short()?, from.short()?);
        let hash = u64_at(from.bytes(8)?, 0)?;
        let end = first.checked_add(count)?;
        let mut start = 0_u32;
        let mut before: Option<Entry> = None;
        let mut chain = 0;
        for entry in index.entries.get_mut(first as usize..end as usize)? {
            chain += 1;
            if entry.stored_as == StoredAs::Whole {
                chain = 1;
            } else if let Some(sibling) = before.filter(|before| before.group == entry.group) {
                if sibling.len != entry.len || chain > CHAIN {
                    return None;
                }
            } else {
                // Nothing of its key stands in this frame before it.
                let leans = index.reach > 0 && is_image(entry.kind);
                (entry.stored_as, chain) = (leans.then_some(StoredAs::Leaning)?, 1);
            }
            entry.start = start;
            start = start.checked_add(entry.stored)?;
            before = Some(*entry);
        }
        if start != plain {
            return None;
        }
        index.frames.push(Frame { at, packed, plain, hash, first });
        at = at.checked_add(u64::from(packed))?;
        first = end;
    }
    let start = bodies.end.checked_sub(at).filter(|start| *start >= bodies.start)?;
    for frame in &mut index.frames {
        frame.at += start;
    }
    (first as usize == index.entries.len()).then_some(())
}

/// Hash of a frame's content.
pub(super) fn content_hash(plain: &[u8]) -> u64 {
    xxh3_64(plain)
}
