use std::path::Path;
use std::{fs, io};

use crate::format::segment::HEADER_LEN;
use crate::format::{Place, State, Word, bytes, span};
use crate::segment;

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
        let log = fs::read(path)?;
        let mut at = HEADER_LEN;
        while let Some(raw) = bytes::u64_at(&log, at) {
            let place = Place { segment: id, offset: u32::try_from(at).unwrap_or(u32::MAX) };
            let len = match Word::from_raw(raw).state(place) {
                Some(State::Committed { len } | State::Reserved { len, .. }) => len,
                Some(State::Aborted { len }) => {
                    count += 1;
                    len
                }
                Some(State::Free) | None => break,
            };
            at += usize::try_from(span(len)).unwrap_or(usize::MAX);
        }
    }
    Ok(count)
}
