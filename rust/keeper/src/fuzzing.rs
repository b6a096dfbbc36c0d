//! What the fuzz targets need of the inside: the protocol and the kernel's list of mappings, behind a plain
//! `fn(&[u8])`. Only with the feature `fuzzing`; nothing here is for users, and nothing is promised about it.

use crate::copies;
use crate::error::Refusal;
use crate::wire::{Inbox, Operation, Reply, Request};

/// Hands the bytes after the first to the decoder that the first one chooses. What is decoded must encode to the
/// same bytes again. Panics if not.
pub fn decoders(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    match which % 5 {
        0 => stream(bytes),
        1 => request(bytes),
        2 => {
            let Some((operation, payload)) = bytes.split_first() else { return };
            let Some(operation) = Operation::ALL.get(usize::from(*operation) % Operation::ALL.len()) else {
                return;
            };
            if let Ok(reply) = Reply::take(*operation, payload) {
                let mut out = Vec::new();
                reply.put(&mut out);
                assert_eq!(out, payload);
            }
        }
        3 => {
            if let Ok(refusal) = Refusal::take(bytes) {
                let mut out = Vec::new();
                refusal.put(&mut out);
                // The number of an unknown code becomes that of an internal error.
                assert_eq!(out.get(2..), bytes.get(2..));
                assert_eq!(Refusal::take(&out), Ok(refusal));
            }
        }
        _ => copies::fuzz(bytes),
    }
}

fn request(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first() else { return };
    if let Ok(request) = Request::take(*kind, payload) {
        assert_eq!(request.operation() as u8, *kind);
        let mut out = Vec::new();
        request.put(&mut out);
        assert_eq!(out, payload);
    }
}

/// A stream that arrives in pieces: the frames are the same as when it arrives at once.
fn stream(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = frames(bytes, bytes.len());
    assert_eq!(frames(bytes, usize::from(*piece) + 1), whole);
    for (kind, payload) in whole.iter().flatten() {
        let mut frame = vec![*kind];
        frame.extend_from_slice(payload);
        request(&frame);
    }
}

/// The frames until the first one that cannot be; then `None`.
fn frames(bytes: &[u8], piece: usize) -> Vec<Option<(u8, Vec<u8>)>> {
    let mut inbox = Inbox::default();
    let mut found = Vec::new();
    for mut piece in bytes.chunks(piece.max(1)) {
        while !piece.is_empty() {
            if inbox.fill(&mut piece).is_err() {
                return found;
            }
        }
        loop {
            match inbox.next() {
                Ok(Some(frame)) => found.push(Some((frame.kind, frame.payload.to_vec()))),
                Ok(None) => break,
                Err(_) => {
                    found.push(None);
                    return found;
                }
            }
        }
    }
    assert!(inbox.pending().len() <= bytes.len());
    found
}
