//! The control file: its header, and where its shared words are.

use xxhash_rust::xxh3::xxh3_64;

use crate::format::bytes::{id_at, put, u32_at, u64_at};

/// Length of the header.
pub(crate) const HEADER_LEN: usize = 56;
/// How many writers can have a store open at once.
pub(crate) const SLOTS: u16 = 1024;
/// How many objects a store can have.
pub(crate) const OBJECTS: u32 = 256;
/// How many registers an object has beside its last LSN, one after the other.
pub(crate) const REGISTERS: u32 = 7;
/// Index of an object's broken flag.
pub(crate) const BROKEN: u32 = 8;
/// Index of an object's flag: its history was confirmed since the machine was started.
pub(crate) const CONFIRMED: u32 = 9;
/// Index of an object's flag: its registers were found older than its newest moment in the log.
pub(crate) const BEHIND: u32 = 10;
/// Index of the newest time that a moment of the object has got.
pub(crate) const TIME: u32 = 11;
/// Index of the last of the registers, which has no place beside the others.
pub(crate) const EIGHTH: u32 = 12;
/// Index of the place of an object's newest era, as a hint.
pub(crate) const ERA_AT: u32 = 13;
/// Index of the time of that era.
pub(crate) const ERA_TIME: u32 = 14;
/// Index of the LSN of that era.
pub(crate) const ERA_LSN: u32 = 15;

/// Offset of the current segment's id.
pub(crate) const CURRENT: u32 = 128;
/// Offset of the tail hint.
pub(crate) const HINT: u32 = 192;
/// Offset of the hint up to where the log is on disk.
pub(crate) const SYNCED: u32 = 320;
/// Offset of the limit of the whole store, in bytes; 0: nobody has set one.
pub(crate) const LIMIT: u32 = 384;
/// Offset of the hint up to which segments are sealed.
pub(crate) const SEALED: u32 = 448;
/// Offset of the target of the window in seconds; 0: nobody has set one.
pub(crate) const WINDOW: u32 = 512;
/// Offset of the hint which segment the log begins with.
pub(crate) const FIRST: u32 = 576;
/// Offset of the hint up to which segment everything that must survive stands behind it, too.
pub(crate) const READY: u32 = 640;
/// Offset of the hint up to which segment the log would be cut if eras allowed it.
pub(crate) const WANTED: u32 = 704;
/// Offset of the time that ages are counted by.
pub(crate) const AGES: u32 = 768;
/// Offset of how long the machine had been up at that time, in nanoseconds.
pub(crate) const AGES_AT: u32 = 832;
const SLOTS_AT: u32 = 4096;
const SLOT_LEN: u32 = 16;
const OBJECTS_AT: u32 = 20480;
const OBJECT_LEN: u32 = 128;
/// Length of the file.
pub(crate) const LEN: u32 = OBJECTS_AT + OBJECTS * OBJECT_LEN;

const MAGIC: [u8; 8] = *b"dbrwctl\x01";
const VERSION: u32 = 1;
const STORE: usize = 16;
const BOOT: usize = 32;
const HASH: usize = 48;

const _: () = assert!(HASH + 8 == HEADER_LEN && HEADER_LEN <= CURRENT as usize);
const _: () = assert!(SLOTS_AT + SLOTS as u32 * SLOT_LEN == OBJECTS_AT);
const _: () = assert!(BROKEN == REGISTERS + 1 && CONFIRMED == BROKEN + 1 && BEHIND == CONFIRMED + 1);
const _: () = assert!(TIME == BEHIND + 1 && EIGHTH == TIME + 1);
const _: () = assert!((ERA_LSN + 1) * 8 <= OBJECT_LEN && OBJECT_LEN.is_multiple_of(64));
const _: () = assert!(LEN.is_multiple_of(4096) && LEN == 53_248);

/// Offset of a slot's word: generation in its low half, process id in the high one.
#[must_use]
pub(crate) const fn slot_at(slot: u16) -> Option<u32> {
    if slot < SLOTS { Some(SLOTS_AT + slot as u32 * SLOT_LEN) } else { None }
}

/// Offset of a word of an object: its last LSN (index 0), a register (1 to 7), [`BROKEN`], [`CONFIRMED`],
/// [`BEHIND`], [`TIME`], [`EIGHTH`], or one of the newest era.
#[must_use]
pub(crate) const fn object_at(object: u32, index: u32) -> Option<u32> {
    if object < OBJECTS && index <= ERA_LSN {
        Some(OBJECTS_AT + object * OBJECT_LEN + index * 8)
    } else {
        None
    }
}

/// What the control file says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ControlHeader {
    /// The store it belongs to.
    pub(crate) store: [u8; 16],
    /// The system's boot id when it was last opened.
    pub(crate) boot: [u8; 16],
}

impl ControlHeader {
    /// The header's bytes.
    #[must_use]
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 12, &LEN.to_le_bytes());
        put(&mut bytes, STORE, &self.store);
        put(&mut bytes, BOOT, &self.boot);
        let hash = bytes.get(..HASH).map_or(0, xxh3_64);
        put(&mut bytes, HASH, &hash.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is not one, and the file has to be made anew.
    #[must_use]
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        let whole = bytes.get(..8) == Some(&MAGIC)
            && u32_at(bytes, 8) == Some(VERSION)
            && u32_at(bytes, 12) == Some(LEN)
            && u64_at(bytes, HASH) == bytes.get(..HASH).map(xxh3_64);
        if !whole {
            return None;
        }
        Some(Self { store: id_at(bytes, STORE)?, boot: id_at(bytes, BOOT)? })
    }
}

/// The tail hint: a segment and an offset in it, with a check, so that damage is not taken for a place
/// between two records. Later places are larger numbers.
pub(crate) mod hint {
    const CHECK_BITS: u32 = 16;
    const OFFSET_BITS: u32 = 27;
    /// Segments and offsets past these are not hinted at.
    const SEGMENTS: u32 = 1 << (64 - CHECK_BITS - OFFSET_BITS);
    const OFFSETS: u32 = 1 << OFFSET_BITS;

    /// The hint, or 0 (no hint) for a place that cannot be expressed.
    #[must_use]
    pub(crate) const fn encode(segment: u32, offset: u32) -> u64 {
        if segment >= SEGMENTS || offset / 8 >= OFFSETS || !offset.is_multiple_of(8) {
            return 0;
        }
        let place = (segment as u64) << OFFSET_BITS | (offset / 8) as u64;
        place << CHECK_BITS | place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - CHECK_BITS)
    }

    /// Segment and offset, or `None` when this is not a hint.
    #[must_use]
    pub(crate) const fn decode(raw: u64) -> Option<(u32, u32)> {
        let place = raw >> CHECK_BITS;
        let segment = (place >> OFFSET_BITS) as u32;
        let offset = (place as u32 & (OFFSETS - 1)) * 8;
        if raw != 0 && encode(segment, offset) == raw { Some((segment, offset)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: ControlHeader = ControlHeader { store: [1; 16], boot: [2; 16] };

    #[test]
    fn headers_round_trip() {
        assert_eq!(ControlHeader::decode(&HEADER.encode()), Some(HEADER));
    }

    #[test]
    fn any_flipped_byte_is_refused() {
        for at in 0..HEADER_LEN {
            let mut bytes = HEADER.encode();
            bytes[at] ^= 0x10;
            assert_eq!(ControlHeader::decode(&bytes), None, "byte {at}");
        }
    }

    #[test]
    fn words_stay_in_the_file() {
        assert_eq!(slot_at(1023), Some(20464));
        assert_eq!(slot_at(1024), None);
        assert_eq!(object_at(255, BEHIND), Some(LEN - 128 + 80));
        assert_eq!(object_at(255, EIGHTH), Some(LEN - 128 + 96));
        assert_eq!(object_at(256, 0), None);
        assert_eq!(object_at(0, ERA_LSN + 1), None);
    }

    #[test]
    fn hints_round_trip_in_log_order_and_notice_a_flipped_bit() {
        let places = [(1, 64), (1, 72), (1, (1 << 30) - 8), (2, 64), ((1 << 21) - 1, 64)];
        let hints: Vec<u64> = places.iter().map(|(s, o)| hint::encode(*s, *o)).collect();
        assert!(hints.is_sorted());
        for (raw, place) in hints.iter().zip(places) {
            assert_eq!(hint::decode(*raw), Some(place));
            for bit in 0..64 {
                assert_eq!(hint::decode(raw ^ 1 << bit), None, "{place:?} bit {bit}");
            }
        }
        assert_eq!(hint::encode(1 << 21, 64), 0);
        assert_eq!(hint::decode(0), None);
    }
}
