use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dbrewind_core::{Code, Head, Key, Kind, Location, Lsn, Need, ObjectId, Store};

use super::{Course, until_room};

/// Numbers of the writers' objects, which nobody registers: nothing of them is ever in the way of an eviction.
const OBJECTS: std::ops::Range<u32> = 200..240;
/// The object of what is reserved and given up.
const NOBODY: u32 = 240;

/// What a writer was told to be in the log.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// By LSN, and where, as far as that was told.
    pub(crate) there: BTreeMap<u64, Option<Location>>,
    /// Of batches that ended with an error: their beginning may be there.
    pub(crate) perhaps: BTreeSet<u64>,
}

/// The writer of a record, if it is one of a writer.
pub(crate) fn writer_of(head: &Head) -> Option<u32> {
    assert_ne!(head.object.get(), NOBODY, "what was given up is there: {head:?}");
    OBJECTS.contains(&head.object.get()).then(|| head.object.get() - OBJECTS.start)
}

pub(crate) fn head(writer: u32, lsn: u64) -> Head {
    Head::new(Kind::After, ObjectId::new(OBJECTS.start + writer), Key::new(lsn % 5), Lsn::new(lsn))
}

/// Whose and which it is follows from every byte of it.
pub(crate) fn body(writer: u32, lsn: u64) -> Vec<u8> {
    let seed = (u64::from(writer) << 32 | lsn).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = if seed.is_multiple_of(7) { seed % 3000 } else { seed % 300 };
    (0..len).map(|i| (seed >> (i % 8 * 8)) as u8).collect()
}

/// Appends in every way that there is, until the end; in bursts, so that now the sealer is faster and now the writers.
pub(crate) fn write(store: &Store, writer: u32, course: &Course) -> Said {
    let mut said = Said::default();
    let mut last = 0;
    let mut turn = 0_u64;
    while !course.is_over() {
        append(store, writer, &mut last, turn, &mut said);
        turn += 1;
        if let Some(at) = said.there.last_key_value().and_then(|(_, at)| *at) {
            course.newest.fetch_max(at.segment().get(), Ordering::Relaxed);
        }
        let pause = if turn % 1000 < 300 { 0 } else { turn % 4 };
        if pause > 0 {
            std::thread::sleep(Duration::from_millis(pause));
        }
    }
    said
}

/// Appends the next records, and notes them and where they are.
pub(crate) fn append(store: &Store, writer: u32, last: &mut u64, turn: u64, said: &mut Said) {
    let count = [1, 1, 5, 1, 3, 2, 1, 60][turn as usize % 8];
    let lsns: Vec<u64> = (*last + 1..=*last + count).collect();
    *last += count;
    let records: Vec<(Head, Vec<u8>)> =
        lsns.iter().map(|lsn| (head(writer, *lsn), body(writer, *lsn))).collect();
    let borrowed: Vec<(Head, &[u8])> = records.iter().map(|(head, body)| (*head, body.as_slice())).collect();
    let mut at = None;
    match count {
        1 => {
            let (left, right) = borrowed[0].1.split_at(borrowed[0].1.len() / 2);
            at = Some(until_room(|| store.append(borrowed[0].0, &[left, right])));
        }
        // Those that count from one instant on: the place is the first one's.
        3 => {
            let first = until_room(|| store.append_whole(&borrowed));
            said.there.insert(lsns[0], Some(first));
        }
        2 => {
            let nobody = Head { object: ObjectId::new(NOBODY), ..borrowed[0].0 };
            let given_up = vec![(nobody, vec![1; 70])];
            let lots = || store.reserve_two(Need::Keep, records.clone(), given_up.clone());
            let (counts, given_up) = until_room(lots);
            if turn.is_multiple_of(3) {
                drop(given_up);
                counts.commit().unwrap();
            } else {
                counts.commit().unwrap();
                drop(given_up);
            }
        }
        _ => match store.append_batch(&borrowed) {
            Ok(place) => at = place,
            Err(error) => {
                assert_eq!(error.code(), Code::StoreFull, "{error}");
                said.perhaps.extend(lsns);
                return;
            }
        },
    }
    for lsn in &lsns {
        said.there.entry(*lsn).or_default();
    }
    if let Some(at) = at {
        said.there.insert(*last, Some(at));
    }
}
