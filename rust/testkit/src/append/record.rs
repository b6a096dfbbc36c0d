//! The records that writers append: all of one follows from who wrote it and its number.

use dbrewind_core::{Head, Key, Kind, Lsn, ObjectId, StoreOptions};

use crate::seed::Rng;

/// Every other store has segments so small that the log is in a new one all the time.
pub(super) fn options(seed: u64) -> StoreOptions {
    let limit = 8 << 30;
    match seed % 2 {
        0 => StoreOptions { limit, ..StoreOptions::default() },
        _ => StoreOptions { first_segment: 64 << 10, max_segment: 1 << 20, limit },
    }
}

pub(super) fn head(writer: u32, number: u64) -> Head {
    let object = ObjectId::new(writer);
    Head { kind: Kind::After, flags: 0, object, key: Key::new(u64::from(writer)), lsn: Lsn::new(number) }
}

/// Mostly 100 bytes and pages of 4 KiB, sometimes another length.
pub(super) fn body(writer: u32, number: u64) -> Vec<u8> {
    let mut rng = Rng::new(u64::from(writer) << 48 ^ number);
    let len = match rng.below(16) {
        0..10 => 100,
        10..14 => 4096,
        14 => rng.below(9000),
        _ => rng.below(64),
    };
    let mut body = vec![0; usize::try_from(len).expect("short")];
    for piece in body.chunks_mut(8) {
        piece.copy_from_slice(&rng.bits().to_le_bytes()[..piece.len()]);
    }
    body
}
