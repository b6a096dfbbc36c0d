//! Sealed files whose digest says something else, with the right hashes, for the fuzz target.

use super::digest::{Digest, Listed, Summary};
use super::frame::Packer;
use super::header::{DIGEST_MAGIC, FRONT, Header, SKIPPED, skipped};
use crate::fuzzing::{ForgedDigest, ForgedRecord, ForgedSummary};
use crate::types::{Lsn, ObjectId};

/// See [`forge_digest`](crate::fuzzing::forge_digest).
pub(crate) fn forged_digest(file: &[u8], change: &mut dyn FnMut(&mut ForgedDigest)) -> Option<Vec<u8>> {
    let mut header = Header::decode(file.first_chunk::<FRONT>()?).ok().filter(Header::has_digest)?;
    let from = FRONT + SKIPPED;
    let len = u32::from_le_bytes(file.get(FRONT + 4..from)?.try_into().ok()?) as usize;
    let digest = Digest::decode(file.get(from..from.checked_add(len)?)?, header.size).ok()?;
    let mut told = told(&digest);
    change(&mut told);
    let made = encoded(&told).encode(&mut Packer::new().ok()?).ok()?;
    let mut out = file.get(..FRONT)?.to_vec();
    out.extend(skipped(DIGEST_MAGIC, u32::try_from(made.len()).ok()?));
    out.extend(&made);
    out.extend(file.get(from + len..)?);
    // Bodies are found by where the index begins, not by where the digest ends.
    header.index_at = header.index_at.checked_add(made.len() as u64)?.checked_sub(len as u64)?;
    header.file_len = out.len() as u64;
    out.splice(..FRONT, header.encode());
    Some(out)
}

fn told(digest: &Digest) -> ForgedDigest {
    let summary = |it: &Summary| ForgedSummary {
        object: it.object.get(),
        highest: it.highest.get(),
        highest_said: it.highest_said.get(),
        newest_after: it.newest_after.get(),
        newest: it.newest,
    };
    let record =
        |it: &Listed| ForgedRecord { head: it.head, offset: it.offset, body: digest.body(it).to_vec() };
    ForgedDigest {
        summaries: digest.summaries.iter().map(summary).collect(),
        records: digest.records.iter().map(record).collect(),
    }
}

fn encoded(told: &ForgedDigest) -> Digest {
    let summary = |it: &ForgedSummary| Summary {
        object: ObjectId::new(it.object),
        highest: Lsn::new(it.highest),
        highest_said: Lsn::new(it.highest_said),
        newest_after: Lsn::new(it.newest_after),
        newest: it.newest,
    };
    let records = told.records.iter().map(|it| (it.head, it.offset, it.body.as_slice()));
    Digest::of(told.summaries.iter().map(summary).collect(), records)
}
