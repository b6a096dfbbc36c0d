//! In which forms the bodies of a sealed file stand, for the test that golden stores have each.

use std::collections::BTreeSet;

use super::columns;
use super::difference::form;
use super::frame::unpack;
use super::header::{FRONT, Header, SKIPPED};
use super::index::StoredAs;

/// See [`forms_of_bodies`](crate::fuzzing::forms_of_bodies).
pub(crate) fn forms(file: &[u8]) -> Option<BTreeSet<&'static str>> {
    let header = Header::decode(file.first_chunk::<FRONT>()?).ok()?;
    let frame = file.get(usize::try_from(header.index_at).ok()?..)?;
    let len = u32::from_le_bytes(frame.get(4..SKIPPED)?.try_into().ok()?) as usize;
    let bytes = frame.get(SKIPPED..)?.get(..len)?;
    let newest_first = header.is_newest_first();
    let index = columns::decode(bytes, newest_first, FRONT as u64..header.index_at, header.size).ok()?;
    let mut found = BTreeSet::new();
    for (number, entry) in (0..).zip(&index.entries) {
        let (_, frame) = index.frame_of(number)?;
        let packed = file.get(usize::try_from(frame.at).ok()?..)?.get(..frame.packed as usize)?;
        let mut plain = Vec::new();
        unpack(packed, frame.plain as usize, &mut plain)?;
        let stored = plain.get(entry.start as usize..)?.get(..entry.stored as usize)?;
        found.insert(match entry.stored_as {
            StoredAs::Whole => "whole",
            StoredAs::Next if !newest_first => "runs from an older one",
            StoredAs::Next => form(stored)?,
            StoredAs::Leaning => "leaning",
        });
    }
    Some(found)
}
