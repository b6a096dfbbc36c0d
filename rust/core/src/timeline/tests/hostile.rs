//! Bytes that no writer of ours wrote: errors, never a panic.

use proptest::prelude::*;

use crate::format::{CommitBody, DropBody, Engine, EraBody, Head, Kind, MarkBody, RewindBody};
use crate::timeline::Timeline;
use crate::types::{Extent, Key, Location, Lsn, MarkName, ObjectId, Timestamp};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..12u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}

/// A body that fits its kind, with numbers that need not make sense.
fn sound_body(kind: Kind, number: u64, name: &str) -> Vec<u8> {
    let (time, extent) = (Timestamp::new(1), Extent::new(number));
    let name = MarkName::new(name).unwrap();
    match kind {
        Kind::Commit => CommitBody { time, extent }.encode(),
        Kind::Mark => MarkBody { time, extent, name, note: &[] }.encode(),
        Kind::Drop => DropBody { time, name }.encode(),
        Kind::Rewind => RewindBody { time, extent, from: Lsn::new(number), note: &[] }.encode(),
        Kind::Era => EraBody { time, extent, broken: number.is_multiple_of(7) }.encode(),
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn codecs_survive_any_bytes(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = CommitBody::decode(&body);
        let _ = MarkBody::decode(&body).map(|mark| assert_same(&mark.encode(), &body));
        let _ = DropBody::decode(&body).map(|drop| assert_same(&drop.encode(), &body));
        let _ = RewindBody::decode(&body).map(|rewind| assert_same(&rewind.encode(), &body));
        let _ = EraBody::decode(&body).map(|era| assert_same(&era.encode(), &body));
    }

    #[test]
    fn names_and_notes_round_trip(name in "[^\\p{C}]{1,60}", note in prop::collection::vec(any::<u8>(), 0..40)) {
        let name = MarkName::new(&name).unwrap();
        let body = MarkBody { time: Timestamp::new(1), extent: Extent::new(2), name, note: &note };
        let whole = body.encode();
        prop_assert_eq!(MarkBody::decode(&whole), Ok(body));
        for len in 0..18 {
            prop_assert!(MarkBody::decode(&whole[..len]).is_err());
        }
    }

    #[test]
    fn a_timeline_survives_any_records(
        rollback in any::<bool>(),
        records in prop::collection::vec((1..=11u8, number(), number(), number(), 0..20u8), 0..40),
        questions in prop::collection::vec((number(), number()), 1..6),
    ) {
        let object = ObjectId::new(1);
        let mut timeline = Timeline::new(object);
        let engine = if rollback { Engine::Rollback } else { Engine::Wal };
        let (key, lsn, extent, garbled) = (engine.key().get(), 0, 5, 1);
        let all = std::iter::once((9, key, lsn, extent, garbled)).chain(records);
        for (at, (kind, key, lsn, value, garbled)) in (0u32..).zip(all) {
            let kind = Kind::from_raw(kind).unwrap();
            let head = Head { kind, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn) };
            let mut body = sound_body(kind, value, if value.is_multiple_of(2) { "a" } else { "b" });
            if garbled == 0 {
                body.truncate(value as usize % 20);
            }
            // An error leaves the record out; the answers after it may be wrong, but must come.
            let _ = timeline.feed(head, Location::new(1, at * 8), &body);
        }
        for (a, b) in questions {
            let (a, b) = (Lsn::new(a), Lsn::new(b));
            let _ = (timeline.canonical(a), timeline.parting(a, b), timeline.reachable(a));
            // An extent without end would list as many keys.
            if timeline.extent_at(b).is_some_and(|extent| extent.get() < 1000) {
                let _ = timeline.plan(a, b);
                let _ = timeline.plan(timeline.last(), b);
            }
        }
    }
}

/// Decoding forgets nothing: the same bytes come out again.
fn assert_same(encoded: &[u8], body: &[u8]) {
    assert_eq!(encoded, body);
}
