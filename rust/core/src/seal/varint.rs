//! Numbers of any length: seven bits a byte, the lowest first (LEB128); differences zigzag.

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends how far it is from one number to another, in either direction.
pub(super) fn put_step(out: &mut Vec<u8>, from: u64, to: u64) {
    let step = to.wrapping_sub(from).cast_signed();
    put(out, (step << 1 ^ step >> 63).cast_unsigned());
}

/// Takes numbers off the front of bytes that may be anything.
pub(super) struct Numbers<'a> {
    rest: &'a [u8],
}

impl<'a> Numbers<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// A number; `None` if there is none, or it needs more than 64 bits.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number of at most 32 bits.
    pub(super) fn short(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A number, by its distance from another one.
    pub(super) fn step(&mut self, from: u64) -> Option<u64> {
        let raw = self.number()?;
        let step = (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed();
        Some(from.wrapping_add(step.cast_unsigned()))
    }

    /// As [`Numbers::step`], between numbers of at most 32 bits.
    pub(super) fn short_step(&mut self, from: u32) -> Option<u32> {
        u32::try_from(self.step(u64::from(from))?).ok()
    }

    /// So many bytes as they are.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_steps_round_trip(number: u64, from: u64) {
            let mut out = Vec::new();
            put(&mut out, number);
            put_step(&mut out, from, number);
            out.extend([7, 8]);
            let mut numbers = Numbers::new(&out);
            prop_assert_eq!(numbers.number(), Some(number));
            prop_assert_eq!(numbers.step(from), Some(number));
            prop_assert_eq!(numbers.bytes(3), None);
            prop_assert_eq!(numbers.bytes(2), Some(&[7, 8][..]));
            prop_assert!(numbers.is_empty());
        }
    }

    #[test]
    fn small_steps_are_short() {
        let mut out = Vec::new();
        put_step(&mut out, 1000, 999);
        put_step(&mut out, u64::MAX, 62);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn numbers_that_end_early_or_are_too_long_are_refused() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0xff; 9],
            &[0xff; 20],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
        ] {
            assert_eq!(Numbers::new(bytes).number(), None, "{bytes:?}");
        }
        assert_eq!(Numbers::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).short(), None);
    }
}
