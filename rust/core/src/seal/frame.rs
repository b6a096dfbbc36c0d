//! Standard zstd frames: made and taken apart whole.

use std::cell::RefCell;
use std::io;

use zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_error_name, get_frame_content_size};

/// What `rust/docs/sealing.md` measured as the best trade.
const LEVEL: i32 = 3;

/// Makes frames, with their content's size and checksum in them.
pub(super) struct Packer {
    context: CCtx<'static>,
}

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(CParameter::CompressionLevel(LEVEL)).map_err(failed)?;
        context.set_parameter(CParameter::ChecksumFlag(true)).map_err(failed)?;
        Ok(Self { context })
    }

    /// Makes a frame, in place of what the buffer holds.
    pub(super) fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        out.reserve(compress_bound(plain.len()));
        self.context.compress2(out, plain).map_err(failed)?;
        Ok(())
    }
}

fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

thread_local! {
    /// Making one takes longer than a frame.
    static UNPACKER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// Takes a frame apart, in place of what the buffer holds; `None` unless it is one of exactly this much content.
pub(super) fn unpack(packed: &[u8], len: usize, out: &mut Vec<u8>) -> Option<()> {
    let claimed = get_frame_content_size(packed).ok()??;
    if usize::try_from(claimed) != Ok(len) {
        return None;
    }
    out.clear();
    out.try_reserve_exact(len).ok()?;
    UNPACKER.with_borrow_mut(|context| {
        if context.is_none() {
            *context = DCtx::try_create();
        }
        let done = context.as_mut()?.decompress(out, packed);
        (done == Ok(len)).then_some(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_back_and_other_lengths_or_bytes_do_not() {
        let plain: Vec<u8> = (0..20_000_u32).map(|i| (i % 251) as u8).collect();
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        Packer::new().unwrap().pack(&plain, &mut packed).unwrap();
        assert!(packed.len() < plain.len() / 10);
        unpack(&packed, plain.len(), &mut out).unwrap();
        assert_eq!(out, plain);
        assert_eq!(unpack(&packed, plain.len() - 1, &mut out), None);
        assert_eq!(unpack(&packed[..packed.len() - 1], plain.len(), &mut out), None);
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 8;
            if unpack(&damaged, plain.len(), &mut out).is_some() {
                assert_eq!(out, plain, "byte {at}");
            }
        }
    }

    #[test]
    fn nothing_is_a_frame_too() {
        let (mut packed, mut out) = (Vec::new(), vec![1]);
        Packer::new().unwrap().pack(&[], &mut packed).unwrap();
        unpack(&packed, 0, &mut out).unwrap();
        assert!(out.is_empty());
    }
}
