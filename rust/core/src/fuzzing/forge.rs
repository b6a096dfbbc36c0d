use xxhash_rust::xxh3::xxh3_64;

use crate::format::control::ControlHeader;
use crate::format::segment::SegmentHeader;
use crate::format::{Head, Owner, Place, Word, record, span};

/// What a forged word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forged {
    /// Somebody is writing a record: slot and generation of its owner.
    Reserved(u16, u16),
    /// A record that counts.
    Committed,
    /// One that was given up.
    Aborted,
}

/// A word with the right check for its place.
#[must_use]
pub fn forge_word(segment: u32, offset: u32, state: Forged, len: u32) -> [u8; 8] {
    let place = Place { segment, offset };
    let word = match state {
        Forged::Reserved(slot, generation) => Word::reserved(place, Owner { slot, generation }, len),
        Forged::Committed => Word::committed(place, len),
        Forged::Aborted => Word::aborted(place, len),
    };
    word.raw().to_le_bytes()
}

/// A whole committed record with the right hashes for its place, padding included.
#[must_use]
pub fn forge_record(segment: u32, offset: u32, head: Head, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut rest = record::encode(&head);
    record::seal(&mut rest, Place { segment, offset }, len, xxh3_64(body));
    let mut bytes = forge_word(segment, offset, Forged::Committed, len).to_vec();
    bytes.extend_from_slice(&rest);
    bytes.extend_from_slice(body);
    bytes.resize(usize::try_from(span(len)).unwrap_or(bytes.len()), 0);
    bytes
}

/// A segment's header with the right hash.
#[must_use]
pub fn forge_segment_header(store: [u8; 16], id: u64, size: u64) -> Vec<u8> {
    SegmentHeader { store, id, size }.encode().to_vec()
}

/// The file `window` with the right hash.
#[must_use]
pub fn forge_window(store: [u8; 16], first: u32) -> Vec<u8> {
    crate::store::manifest::encode(store, first).to_vec()
}

/// The header of a control file with the right hash.
#[must_use]
pub fn forge_control_header(store: [u8; 16], boot: [u8; 16]) -> Vec<u8> {
    ControlHeader { store, boot }.encode().to_vec()
}
