use std::io::{self, Read};

use super::WireError;

/// Bytes of the length field.
const LENGTH: usize = 4;
/// Bytes between the length field and the payload: id and kind.
const HEAD: usize = 9;
/// The largest value of a length field. A list of a hundred thousand marks fits.
const MAX: usize = 64 << 20;
/// How much one read asks for: nearly every frame comes in one piece.
const CHUNK: usize = 16 << 10;
/// A buffer that grew past this is given back after its frame.
const KEEP: usize = 256 << 10;

/// Starts a frame in `out`, which becomes empty first. The payload is appended, then [`finish`] is called.
pub(crate) fn begin(out: &mut Vec<u8>, id: u64, kind: u8) {
    out.clear();
    out.shrink_to(KEEP);
    out.extend_from_slice(&[0; LENGTH]);
    out.extend_from_slice(&id.to_le_bytes());
    out.push(kind);
}

/// Completes the frame in `out`.
///
/// # Errors
/// When it is longer than a frame may be; `out` is of no use then.
pub(crate) fn finish(out: &mut [u8]) -> Result<(), WireError> {
    let len = out.len().saturating_sub(LENGTH);
    if len > MAX {
        return Err(WireError::Length { found: len as u64 });
    }
    let len = u32::try_from(len).map_err(|_| WireError::Length { found: len as u64 })?;
    if let Some(field) = out.first_chunk_mut::<LENGTH>() {
        *field = len.to_le_bytes();
    }
    Ok(())
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame<'a> {
    /// Which request it is, or answers.
    pub(crate) id: u64,
    /// Operation, or kind of response.
    pub(crate) kind: u8,
    /// The rest.
    pub(crate) payload: &'a [u8],
}

/// Bytes that arrived, cut into frames. Takes memory as bytes arrive, never for a length that only claims.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    buf: Vec<u8>,
    start: usize,
}

impl Inbox {
    /// The next whole frame, if it is there.
    ///
    /// # Errors
    /// When the length field cannot be: nothing after it can be read any more.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let Some((frame, len)) = cut(self.buf.get(self.start..).unwrap_or_default())? else {
            return Ok(None);
        };
        self.start += len;
        Ok(Some(frame))
    }

    /// Takes the next whole frame away if it is such a one; answers whether it was.
    ///
    /// # Errors
    /// As [`Inbox::next`].
    pub(crate) fn take_if(&mut self, wanted: impl FnOnce(Frame<'_>) -> bool) -> Result<bool, WireError> {
        let Some((frame, len)) = cut(self.buf.get(self.start..).unwrap_or_default())? else {
            return Ok(false);
        };
        let taken = wanted(frame);
        if taken {
            self.start += len;
        }
        Ok(taken)
    }

    /// Reads once. 0 is the end of input.
    ///
    /// # Errors
    /// The source's own.
    pub(crate) fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.buf.drain(..self.start.min(self.buf.len()));
        self.start = 0;
        if self.buf.is_empty() {
            self.buf.shrink_to(KEEP);
        }
        let old = self.buf.len();
        self.buf.resize(old + CHUNK, 0);
        let got = match self.buf.get_mut(old..) {
            Some(room) => source.read(room),
            None => Ok(0),
        };
        self.buf.truncate(old + got.as_ref().copied().unwrap_or(0).min(CHUNK));
        got
    }

    /// Bytes that are not part of a frame yet, for a diagnosis.
    pub(crate) fn pending(&self) -> &[u8] {
        self.buf.get(self.start..).unwrap_or_default()
    }
}

/// The frame at the beginning of these bytes, and its length with everything.
fn cut(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, WireError> {
    let Some((field, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Ok(None) };
    let len = u32::from_le_bytes(*field) as usize;
    if !(HEAD..=MAX).contains(&len) {
        return Err(WireError::Length { found: len as u64 });
    }
    let Some(frame) = rest.get(..len) else { return Ok(None) };
    let Some((id, rest)) = frame.split_first_chunk::<8>() else { return Ok(None) };
    let Some((kind, payload)) = rest.split_first() else { return Ok(None) };
    Ok(Some((Frame { id: u64::from_le_bytes(*id), kind: *kind, payload }, LENGTH + len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out, id, kind);
        out.extend_from_slice(payload);
        finish(&mut out).unwrap();
        out
    }

    #[test]
    fn frames_survive_any_cut() {
        let mut bytes = frame(7, 3, b"abc");
        bytes.extend(frame(8, 4, b""));
        for cut in 0..=bytes.len() {
            let mut inbox = Inbox::default();
            let mut seen = Vec::new();
            for mut part in [&bytes[..cut], &bytes[cut..]] {
                inbox.fill(&mut part).unwrap();
                while let Some(frame) = inbox.next().unwrap() {
                    seen.push((frame.id, frame.kind, frame.payload.to_vec()));
                }
            }
            assert_eq!(seen, [(7, 3, b"abc".to_vec()), (8, 4, Vec::new())], "cut at {cut}");
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for len in [0_u32, 8, (64 << 20) + 1, u32::MAX] {
            let mut inbox = Inbox::default();
            inbox.fill(&mut &len.to_le_bytes()[..]).unwrap();
            assert_eq!(inbox.next(), Err(WireError::Length { found: u64::from(len) }));
        }
    }

    #[test]
    fn a_claimed_length_takes_no_memory() {
        let mut inbox = Inbox::default();
        inbox.fill(&mut &(64_u32 << 20).to_le_bytes()[..]).unwrap();
        assert_eq!(inbox.next(), Ok(None));
        assert!(inbox.buf.capacity() <= 2 * CHUNK);
    }
}
