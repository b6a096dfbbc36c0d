//! What those who open a database need of a sealed segment, in one small frame behind the header: every record that is
//! neither an image nor a commit, the few commits on which something depends, and how high LSNs go.

use std::collections::BTreeMap;
use std::io;

use xxhash_rust::xxh3::Xxh3;

use super::Found;
use super::frame::{Packer, unpack};
use super::header::BadSeal;
use super::index::is_image;
use super::varint::{Numbers, put, put_step};
use crate::format::bytes::{u32_at, u64_at};
use crate::format::{HEADER, Head, KEPT, Kind};
use crate::types::{Key, Lsn, ObjectId};

/// Two counts, length of the content, hash of these and of the packed content.
const HEAD: usize = 24;
const HASHED: usize = 16;
/// What a record or an object takes in the content at most, but for bodies: seven numbers of ten bytes.
const LONGEST: u64 = 70;

/// What holds for all records of one object in a segment, listed or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    /// The object.
    pub(crate) object: ObjectId,
    /// The highest LSN, but for registrations.
    pub(crate) highest: Lsn,
    /// The same without after-images and cuts.
    pub(crate) highest_said: Lsn,
    /// The highest LSN of an after-image, whether it counts or not; 0: there is none.
    pub(crate) newest_after: Lsn,
    /// Offset of the newest record that is neither a registration nor about marks; 0: there is none.
    pub(crate) newest: u32,
}

/// A record that is listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    /// What it says.
    pub(crate) head: Head,
    /// Where it stands in the segment.
    pub(crate) offset: u32,
    /// Where its body begins in all of them.
    start: u32,
    /// Length of its body.
    pub(crate) len: u32,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Digest {
    /// Ascending by object.
    pub(crate) summaries: Vec<Summary>,
    /// In log order.
    pub(crate) records: Vec<Listed>,
    bodies: Vec<u8>,
}

/// What is known of an object on the way through a segment.
#[derive(Default)]
struct Way {
    highest: u64,
    said: u64,
    after: u64,
    newest: u32,
    /// Of the present era: places among the records, and LSNs.
    commit: Option<(u64, usize)>,
    kept: Option<(u64, usize)>,
}

/// Which of a segment's records are listed, which must be in log order; and what is said of all of them.
pub(crate) fn choose(records: &[Found]) -> (Vec<Found>, Vec<Summary>) {
    let mut listed = vec![false; records.len()];
    let mut list = |place: Option<(u64, usize)>| {
        if let Some(chosen) = place.and_then(|(_, at)| listed.get_mut(at)) {
            *chosen = true;
        }
    };
    let mut ways: BTreeMap<u32, Way> = BTreeMap::new();
    let mut committed = false;
    for (place, found) in records.iter().enumerate() {
        let (kind, lsn) = (found.head.kind, found.head.lsn.get());
        let way = ways.entry(found.head.object.get()).or_default();
        if !is_image(kind) && kind != Kind::Commit {
            list(Some((lsn, place)));
        }
        if kind == Kind::Object {
            continue;
        }
        way.highest = way.highest.max(lsn);
        if !matches!(kind, Kind::After | Kind::Cut) {
            way.said = way.said.max(lsn);
        }
        if !matches!(kind, Kind::Mark | Kind::Drop) {
            way.newest = found.offset;
        }
        match kind {
            Kind::After => way.after = way.after.max(lsn),
            Kind::Commit => {
                // When this segment began.
                if !std::mem::replace(&mut committed, true) {
                    list(Some((lsn, place)));
                }
                if way.commit.is_none_or(|(newest, _)| newest < lsn) {
                    way.commit = Some((lsn, place));
                }
                if found.head.flags & KEPT != 0 && way.kept.is_none_or(|(newest, _)| newest < lsn) {
                    way.kept = Some((lsn, place));
                }
            }
            // Whether its own images are recorded.
            Kind::Rewind => list(way.commit.filter(|(newest, _)| *newest == lsn)),
            // How the era before it ended.
            Kind::Era => {
                list(way.commit.take());
                list(way.kept.take());
            }
            _ => {}
        }
    }
    for way in ways.values() {
        list(way.commit);
        list(way.kept);
    }
    let chosen = records.iter().zip(&listed).filter(|(_, listed)| **listed).map(|(found, _)| *found);
    let summaries = ways.into_iter().map(|(object, way)| Summary {
        object: ObjectId::new(object),
        highest: Lsn::new(way.highest),
        highest_said: Lsn::new(way.said),
        newest_after: Lsn::new(way.after),
        newest: way.newest,
    });
    (chosen.collect(), summaries.collect())
}

impl Digest {
    /// Of records in log order.
    pub(crate) fn new(
        records: &[Found],
        body: &mut dyn FnMut(&Found, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (chosen, summaries) = choose(records);
        let (mut bodies, mut one) = (Vec::new(), Vec::new());
        let mut records = Vec::with_capacity(chosen.len());
        for found in &chosen {
            body(found, &mut one)?;
            let start = u32::try_from(bodies.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
            records.push(Listed { head: found.head, offset: found.offset, start, len: found.len });
            bodies.extend_from_slice(&one);
        }
        Ok(Self { summaries, records, bodies })
    }

    /// With these records, whose offsets ascend, and their bodies, whatever that says.
    #[cfg(feature = "fuzzing")]
    pub(super) fn of<'a>(
        summaries: Vec<Summary>,
        listed: impl Iterator<Item = (Head, u32, &'a [u8])>,
    ) -> Self {
        let mut digest = Self { summaries, ..Self::default() };
        for (head, offset, body) in listed {
            let start = u32::try_from(digest.bodies.len()).unwrap_or(u32::MAX);
            let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
            digest.records.push(Listed { head, offset, start, len });
            digest.bodies.extend_from_slice(body);
        }
        digest
    }

    /// A listed record's body.
    pub(crate) fn body(&self, listed: &Listed) -> &[u8] {
        let rest = self.bodies.get(listed.start as usize..).unwrap_or_default();
        rest.get(..listed.len as usize).unwrap_or_default()
    }

    /// What holds for the records of an object.
    pub(crate) fn summary(&self, object: ObjectId) -> Option<&Summary> {
        let at = self.summaries.binary_search_by_key(&object, |summary| summary.object).ok()?;
        self.summaries.get(at)
    }

    /// Whether what it says of all records of an object holds for those that it lists.
    fn is_consistent(&self, size: u64) -> bool {
        let possible = |it: &Summary| {
            let last = it.highest_said.max(it.newest_after);
            last <= it.highest && it.highest.next().is_some() && u64::from(it.newest) < size
        };
        let covered = |listed: &Listed| {
            let (kind, lsn) = (listed.head.kind, listed.head.lsn);
            let newest = !matches!(kind, Kind::Object | Kind::Mark | Kind::Drop);
            self.summary(listed.head.object).is_some_and(|summary| {
                (kind == Kind::Object || lsn <= summary.highest_said)
                    && (!newest || listed.offset <= summary.newest)
            })
        };
        self.summaries.iter().all(possible) && self.records.iter().all(covered)
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn weight(&self) -> usize {
        self.records.len() * size_of::<Listed>()
            + self.summaries.len() * size_of::<Summary>()
            + self.bodies.len()
    }

    /// The content of its frame.
    pub(super) fn encode(&self, packer: &mut Packer) -> io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(self.bodies.len() + self.records.len() * 8);
        for summary in &self.summaries {
            put(&mut plain, u64::from(summary.object.get()));
            put(&mut plain, summary.highest.get());
            put(&mut plain, summary.highest_said.get());
            put(&mut plain, summary.newest_after.get());
            put(&mut plain, u64::from(summary.newest / 8));
        }
        let mut last = (0, 0);
        for listed in &self.records {
            put(&mut plain, u64::from(listed.head.object.get()));
            plain.push(listed.head.kind as u8);
            plain.push(listed.head.flags);
            put(&mut plain, listed.head.key.get());
            put_step(&mut plain, last.0, listed.head.lsn.get());
            put(&mut plain, u64::from((listed.offset - last.1) / 8));
            put(&mut plain, u64::from(listed.len));
            last = (listed.head.lsn.get(), listed.offset);
        }
        plain.extend_from_slice(&self.bodies);
        let mut out = Vec::new();
        for count in [self.summaries.len(), self.records.len()] {
            let count = u32::try_from(count).map_err(|_| io::ErrorKind::FileTooLarge)?;
            out.extend(count.to_le_bytes());
        }
        with_hash(out, &plain, packer)
    }

    /// Reads the content of its frame, of a segment of `size` bytes.
    pub(super) fn decode(bytes: &[u8], size: u64) -> Result<Self, BadSeal> {
        let damaged = BadSeal::Malformed("has a digest that does not match its hash");
        let (head, packed) = bytes.split_at_checked(HEAD).ok_or(damaged)?;
        let counted = head.get(..HASHED).ok_or(damaged)?;
        if u64_at(head, HASHED) != Some(hash(counted, packed)) {
            return Err(damaged);
        }
        parse(head, packed, size).ok_or(BadSeal::Malformed("has an impossible digest"))
    }
}

/// The content of the frame, of the two counts and what is packed.
pub(super) fn with_hash(mut out: Vec<u8>, plain: &[u8], packer: &mut Packer) -> io::Result<Vec<u8>> {
    out.extend((plain.len() as u64).to_le_bytes());
    let mut packed = Vec::new();
    packer.pack(plain, &mut packed)?;
    out.extend(hash(&out, &packed).to_le_bytes());
    out.extend(packed);
    Ok(out)
}

fn parse(head: &[u8], packed: &[u8], size: u64) -> Option<Digest> {
    let (summaries, records) = (u32_at(head, 0)?, u32_at(head, 4)?);
    let len = u64_at(head, 8)?;
    // Each record took a header and its body of the segment; each object had one.
    let most = size / u64::from(HEADER);
    let room = size.checked_add((u64::from(summaries) + u64::from(records)) * LONGEST)?;
    if u64::from(records) > most || u64::from(summaries) > most || len > room {
        return None;
    }
    let mut plain = Vec::new();
    unpack(packed, usize::try_from(len).ok()?, &mut plain)?;
    let mut from = Numbers::new(&plain);
    let mut digest = Digest::default();
    for _ in 0..summaries {
        let object = ObjectId::new(from.short()?);
        if digest.summaries.last().is_some_and(|last| last.object >= object) {
            return None;
        }
        let mut lsn = || from.number().map(Lsn::new);
        let (highest, highest_said, newest_after) = (lsn()?, lsn()?, lsn()?);
        let newest = from.short()?.checked_mul(8)?;
        digest.summaries.push(Summary { object, highest, highest_said, newest_after, newest });
    }
    let (mut lsn, mut offset, mut start) = (0, 0_u32, 0_u32);
    for place in 0..records {
        let object = ObjectId::new(from.short()?);
        let kind_and_flags = from.bytes(2)?;
        let kind = Kind::from_raw(*kind_and_flags.first()?).filter(|kind| *kind != Kind::End)?;
        let flags = *kind_and_flags.get(1)?;
        let key = Key::new(from.number()?);
        lsn = from.step(lsn)?;
        let step = from.short()?.checked_mul(8)?;
        offset = offset.checked_add(step).filter(|_| step > 0 || place == 0)?;
        let len = from.short()?;
        if is_image(kind) || u64::from(offset) + u64::from(HEADER) + u64::from(len) > size {
            return None;
        }
        let head = Head { kind, flags, object, key, lsn: Lsn::new(lsn) };
        digest.records.push(Listed { head, offset, start, len });
        start = start.checked_add(len)?;
    }
    digest.bodies = from.bytes(start as usize)?.to_vec();
    (from.is_empty() && digest.is_consistent(size)).then_some(digest)
}

fn hash(head: &[u8], packed: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(head);
    hasher.update(packed);
    hasher.digest()
}
