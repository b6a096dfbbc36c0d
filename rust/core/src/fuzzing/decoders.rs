use xxhash_rust::xxh3::xxh3_64;

use crate::format::bytes::{put, u32_at, u64_at};
use crate::format::control::{self, ControlHeader, hint};
use crate::format::object::ObjectBody;
use crate::format::segment::{self, SegmentHeader};
use crate::format::{
    CommitBody, DropBody, Engine, EraBody, MarkBody, Place, RewindBody, State, Word, record, span,
};
use crate::types::Key;

/// Hands the bytes after the first to the decoder that the first one chooses. What is decoded must encode to the
/// same bytes again: two readings of one record cannot differ, and no bit of it is ignored.
pub fn decoders(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    match which % 11 {
        0 => word(bytes),
        1 => record_header(bytes),
        2 => segment_header(bytes),
        3 => control_header(bytes),
        4 => tail_hint(bytes),
        5 => {
            if let Some(body) = ObjectBody::decode(bytes) {
                assert_eq!(body.encode(), bytes);
            }
        }
        6 => {
            if let Ok(body) = CommitBody::decode(bytes) {
                assert_eq!(body.encode(), bytes);
            }
        }
        7 => {
            if let Ok(body) = MarkBody::decode(bytes) {
                assert_eq!(body.encode(), bytes);
            }
        }
        8 => {
            if let Ok(body) = DropBody::decode(bytes) {
                assert_eq!(body.encode(), bytes);
            }
        }
        9 => {
            if let Ok(body) = RewindBody::decode(bytes) {
                assert_eq!(body.encode(), bytes);
            }
        }
        _ => {
            if let Ok(body) = EraBody::decode(bytes) {
                assert_eq!(body.encode(), bytes);
            }
            let key = Key::new(u64_at(bytes, 0).unwrap_or(0));
            if let Some(engine) = Engine::from_key(key) {
                assert_eq!(engine.key(), key);
            }
        }
    }
}

/// A place and a word. The word as it is, and with the state and length it claims but a right check.
fn word(bytes: &[u8]) {
    let (Some(segment), Some(offset), Some(raw)) = (u32_at(bytes, 0), u32_at(bytes, 4), u64_at(bytes, 8))
    else {
        return;
    };
    let place = Place { segment, offset };
    let again = |word: Word| match word.state(place) {
        None => None,
        Some(State::Free) => Some(Word::FREE),
        Some(State::Reserved { owner, len }) => Some(Word::reserved(place, owner, len)),
        Some(State::Committed { len }) => Some(Word::committed(place, len)),
        Some(State::Aborted { len }) => Some(Word::aborted(place, len)),
    };
    let found = Word::from_raw(raw);
    assert!(again(found).is_none_or(|word| word == found));
    for sound in [Word::committed(place, raw as u32), Word::aborted(place, raw as u32)] {
        assert_eq!(again(sound), Some(sound));
        assert!(span(raw as u32).is_multiple_of(8));
    }
}

fn record_header(bytes: &[u8]) {
    let Some((rest, body)) = bytes.split_first_chunk::<{ record::REST }>() else { return };
    let Ok(head) = record::decode(rest) else { return };
    let mut again = record::encode(&head);
    assert_eq!(again.get(..record::FIELDS), rest.get(..record::FIELDS));
    let place = Place { segment: 1, offset: segment::HEADER_LEN as u32 };
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let _ = record::intact(rest, place, len, body);
    record::seal(&mut again, place, len, xxh3_64(body));
    assert!(record::intact(&again, place, len, body));
}

fn segment_header(bytes: &[u8]) {
    let Some(mut header) = bytes.first_chunk::<{ segment::HEADER_LEN }>().copied() else { return };
    for _ in 0..2 {
        if let Ok(found) = SegmentHeader::decode(&header) {
            assert_eq!(found.encode(), header);
        }
        let hash = header.get(..segment::HEADER_LEN - 8).map_or(0, xxh3_64);
        put(&mut header, segment::HEADER_LEN - 8, &hash.to_le_bytes());
    }
}

fn control_header(bytes: &[u8]) {
    let Some(mut header) = bytes.first_chunk::<{ control::HEADER_LEN }>().copied() else { return };
    for _ in 0..2 {
        if let Some(found) = ControlHeader::decode(&header) {
            assert_eq!(found.encode(), header);
        }
        let hash = header.get(..control::HEADER_LEN - 8).map_or(0, xxh3_64);
        put(&mut header, control::HEADER_LEN - 8, &hash.to_le_bytes());
    }
    let (Some(object), Some(index)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else { return };
    if let Some(at) = control::object_at(object, index) {
        assert!(at.is_multiple_of(8) && at + 8 <= control::LEN);
    }
    if let Some(at) = control::slot_at(object as u16) {
        assert!(at.is_multiple_of(8) && at + 8 <= control::LEN);
    }
}

fn tail_hint(bytes: &[u8]) {
    let Some(raw) = u64_at(bytes, 0) else { return };
    if let Some((segment, offset)) = hint::decode(raw) {
        assert_eq!(hint::encode(segment, offset), raw);
        assert!(offset.is_multiple_of(8));
    }
    let (segment, offset) = ((raw >> 32) as u32, raw as u32);
    let encoded = hint::encode(segment, offset);
    assert!(encoded == 0 || hint::decode(encoded) == Some((segment, offset)));
}
