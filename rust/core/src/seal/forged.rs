//! Sealed files that nobody has sealed, for the fuzz targets.

use super::columns::{HEAD, with_hash};
use super::frame::{Packer, unpack};
use super::header::{FRONT, Header, INDEX_MAGIC, SKIPPED, seek_table, skipped};
use crate::format::bytes::u64_at;

/// See [`forge_sealed`](crate::fuzzing::forge_sealed).
pub(crate) fn forged(
    file: &[u8],
    records: Option<u8>,
    change: &mut dyn FnMut(&mut Vec<u8>),
) -> Option<Vec<u8>> {
    let mut header = Header::decode(file.first_chunk::<FRONT>()?).ok()?;
    let index_at = usize::try_from(header.index_at).ok()?;
    let frame = file.get(index_at..)?;
    let len = u32::from_le_bytes(frame.get(4..SKIPPED)?.try_into().ok()?) as usize;
    let index = frame.get(SKIPPED..)?.get(..len)?;
    let (head, packed) = index.split_at_checked(HEAD)?;
    let plain = usize::try_from(u64_at(head, 16)?).ok().filter(|plain| *plain < 1 << 20)?;
    let mut columns = Vec::new();
    unpack(packed, plain, &mut columns)?;
    change(&mut columns);
    let mut counts = head.get(..16)?.to_vec();
    if let Some(records) = records {
        counts.splice(8..12, u32::from(records).to_le_bytes());
    }
    let index = with_hash(counts, &columns, &mut Packer::new().ok()?).ok()?;
    let mut made = file.get(..index_at)?.to_vec();
    made.extend(skipped(INDEX_MAGIC, u32::try_from(index.len()).ok()?));
    made.extend(index);
    // Nobody here reads it.
    made.extend(seek_table(&[]));
    header.file_len = made.len() as u64;
    made.splice(..FRONT, header.encode());
    Some(made)
}
