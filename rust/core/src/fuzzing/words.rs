use std::os::unix::fs::FileExt;
use std::path::Path;
use std::{fs, io};

use crate::format::{Place, State, Word, bytes, segment as segment_header, span};
use crate::segment;
use crate::types::Location;

/// Version of the format that this program writes.
pub const FORMAT_VERSION: u32 = segment_header::VERSION;

/// The version of sealed segments that is written.
pub const SEALED_VERSION: u32 = crate::seal::VERSION;

/// Where the log of a segment ends, given all of its bytes. `None` when it goes on in the next one, or is damaged.
#[must_use]
pub fn end(log: &[u8], segment: u32) -> Option<usize> {
    walk(log, segment, segment_header::HEADER_LEN, |_| {})
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
        walk(&fs::read(path)?, id, segment_header::HEADER_LEN, |state| count += aborted(state));
    }
    Ok(count)
}

/// The same between two records of a store, which anybody may have open: of segments that are not sealed.
///
/// # Errors
/// When the segments cannot be read.
pub fn given_up_between(dir: &Path, from: Location, to: Location) -> io::Result<u64> {
    let mut count = 0;
    for id in from.segment().get()..=to.segment().get() {
        let file =
            fs::File::open(dir.join(segment::file_name(u32::try_from(id).map_err(io::Error::other)?)))?;
        let first =
            if id == from.segment().get() { from.offset() as usize } else { segment_header::HEADER_LEN };
        let end = match id == to.segment().get() {
            true => to.offset() as usize,
            false => usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?,
        };
        let mut log = vec![0; end];
        file.read_exact_at(log.get_mut(first..).unwrap_or_default(), first as u64)?;
        walk(&log, id as u32, first, |state| count += aborted(state));
    }
    Ok(count)
}

fn aborted(state: State) -> u64 {
    u64::from(matches!(state, State::Aborted { .. }))
}

fn walk(log: &[u8], segment: u32, from: usize, mut visit: impl FnMut(State)) -> Option<usize> {
    let mut at = from;
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
