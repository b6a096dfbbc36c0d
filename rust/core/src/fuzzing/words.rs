use std::path::Path;
use std::{fs, io};

use crate::format::{Place, State, Word, bytes, segment as segment_header, span};
use crate::segment;

/// Version of the format that this program writes.
pub const FORMAT_VERSION: u32 = segment_header::VERSION;

/// The version of sealed segments that is written.
pub const SEALED_VERSION: u32 = crate::seal::VERSION;

/// Where the log of a segment ends, given all of its bytes. `None` when it goes on in the next one, or is damaged.
#[must_use]
pub fn end(log: &[u8], segment: u32) -> Option<usize> {
    walk(log, segment, |_| {})
}

/// How many records of a store were reserved, then given up, since their writers had died. Nobody may have it open.
///
/// # Errors
/// When the segments cannot be read.
pub fn given_up(dir: &Path) -> io::Result<u64> {
    let mut count = 0;
    for id in 1.. {
        let path = dir.join(segment::file_name(id));
        if !path.exists() {
            break;
        }
        walk(&fs::read(path)?, id, |state| count += u64::from(matches!(state, State::Aborted { .. })));
    }
    Ok(count)
}

fn walk(log: &[u8], segment: u32, mut visit: impl FnMut(State)) -> Option<usize> {
    let mut at = segment_header::HEADER_LEN;
    loop {
        let raw = bytes::u64_at(log, at)?;
        let place = Place { segment, offset: u32::try_from(at).ok()? };
        let state = Word::from_raw(raw).state(place)?;
        visit(state);
        let (State::Reserved { len, .. } | State::Committed { len } | State::Aborted { len }) = state else {
            return Some(at);
        };
        at = at.checked_add(usize::try_from(span(len)).ok()?)?;
    }
}
