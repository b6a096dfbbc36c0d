//! One image by what of another of the same length it has, wherever that stands now: (bytes that follow, those bytes, what
//! stays)*.

use super::varint::{Numbers, put, put_step};

/// Fewer equal bytes than this are cheaper as bytes that follow, when they stand as far from where they stood as those before,
const NEAR: usize = 4;
/// and when they do not.
const FAR: usize = 12;
/// No further look for something longer.
const ENOUGH: usize = 64;
/// How many bytes are looked for at once.
const SEED: usize = 8;
/// Equal stretches are passed over in steps of this many bytes.
const STRIDE: usize = 16;

/// Where stretches of an image stand; kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Position + 1 by hash, or 0.
    places: Vec<u32>,
    shift: u32,
}

impl Places {
    fn of(&mut self, image: &[u8]) {
        let bits = image.len().max(SEED).ilog2() + 1;
        self.shift = u64::BITS - bits;
        self.places.clear();
        self.places.resize(1 << bits, 0);
        for (at, seed) in image.windows(SEED).enumerate() {
            let slot = self.slot(seed);
            if let Some(place) = self.places.get_mut(slot) {
                *place = u32::try_from(at + 1).unwrap_or(0);
            }
        }
    }

    fn slot(&self, seed: &[u8]) -> usize {
        let seed = seed.first_chunk().map_or(0, |seed| u64::from_le_bytes(*seed));
        (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    fn find(&self, seed: &[u8]) -> Option<usize> {
        (*self.places.get(self.slot(seed))? as usize).checked_sub(1)
    }
}

/// Appends what makes `new` of `old`, which is as long; gives up, and leaves anything there, when that gets longer than `most`.
pub(super) fn encode(
    old: &[u8],
    new: &[u8],
    places: &mut Places,
    most: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    places.of(old);
    let start = out.len();
    // How far from where they stood; and up to where everything is said.
    let (mut moved, mut said, mut at) = (0_isize, 0, 0);
    while at < new.len() {
        let rest = new.get(at..)?;
        let from = at.checked_add_signed(moved);
        let near = from.map_or(0, |from| equal(old, from, rest));
        let mut best = (near >= NEAR).then_some((near, moved));
        if near < ENOUGH
            && let Some(seed) = rest.get(..SEED)
            && let Some(from) = places.find(seed)
        {
            let far = equal(old, from, rest);
            if far >= FAR && far > near {
                best = Some((far, from.cast_signed() - at.cast_signed()));
            }
        }
        let Some((len, by)) = best else {
            at += 1;
            continue;
        };
        insert(new.get(said..at)?, out);
        put(out, (len as u64) << 1 | u64::from(by != moved));
        if by != moved {
            put_step(out, (moved as i64).cast_unsigned(), (by as i64).cast_unsigned());
        }
        moved = by;
        at += len;
        said = at;
        if out.len() - start > most {
            return None;
        }
    }
    if said < new.len() {
        insert(new.get(said..)?, out);
    }
    (out.len() - start <= most).then_some(())
}

fn insert(bytes: &[u8], out: &mut Vec<u8>) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Makes the next image of this one; `None`, and the image is anything, if this does not make one as long.
pub(super) fn apply(moves: &[u8], image: &mut Vec<u8>) -> Option<()> {
    let old = std::mem::take(image);
    image.try_reserve_exact(old.len()).ok()?;
    let mut numbers = Numbers::new(moves);
    let mut moved = 0_u64;
    while !numbers.is_empty() {
        let follow = usize::try_from(numbers.number()?).ok()?;
        let follow = numbers.bytes(follow)?;
        extend(image, follow, old.len())?;
        if numbers.is_empty() {
            break;
        }
        let said = numbers.number()?;
        if said & 1 == 1 {
            moved = numbers.step(moved)?;
        }
        let from = usize::try_from((image.len() as u64).wrapping_add(moved)).ok()?;
        let stays = old.get(from..)?.get(..usize::try_from(said >> 1).ok()?)?;
        extend(image, stays, old.len())?;
    }
    (image.len() == old.len()).then_some(())
}

fn extend(image: &mut Vec<u8>, by: &[u8], most: usize) -> Option<()> {
    (by.len() <= most - image.len()).then(|| image.extend_from_slice(by))
}

/// How many bytes of both are equal, from a place in the first one on.
fn equal(old: &[u8], from: usize, new: &[u8]) -> usize {
    let Some(old) = old.get(from..) else { return 0 };
    let mut len = 0;
    for (old, new) in old.chunks_exact(STRIDE).zip(new.chunks_exact(STRIDE)) {
        if old != new {
            break;
        }
        len += STRIDE;
    }
    let (old, new) = (old.get(len..).unwrap_or_default(), new.get(len..).unwrap_or_default());
    len + old.iter().zip(new).take_while(|(old, new)| old == new).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through(old: &[u8], new: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut moves, mut image) = (Vec::new(), old.to_vec());
        encode(old, new, &mut Places::default(), usize::MAX, &mut moves).unwrap();
        apply(&moves, &mut image).unwrap();
        (moves, image)
    }

    proptest! {
        #[test]
        fn images_come_back(
            mut old in proptest::collection::vec(0_u8..3, 0..400),
            pieces in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..90, any::<bool>()), 0..9),
        ) {
            let mut new = Vec::new();
            for (from, len, fresh) in pieces {
                let from = from.index(old.len() + 1);
                let piece = old.get(from..(from + len).min(old.len())).unwrap_or_default();
                new.extend(piece.iter().map(|byte| byte + u8::from(fresh)));
            }
            let len = old.len().min(new.len());
            old.truncate(len);
            new.truncate(len);
            prop_assert_eq!(through(&old, &new).1, new);
        }

        #[test]
        fn any_bytes_make_an_image_or_nothing(
            moves in proptest::collection::vec(prop_oneof![0_u8..9, any::<u8>()], 0..60),
            mut image: Vec<u8>,
        ) {
            let len = image.len();
            if apply(&moves, &mut image).is_some() {
                prop_assert_eq!(image.len(), len);
            }
        }
    }

    #[test]
    fn what_moves_is_told_in_a_few_bytes() {
        let old: Vec<u8> =
            (1..4001_u64).map(|i| ((i * i * i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
        let mut new = old.clone();
        new.copy_within(100..2000, 90);
        new[1990..2000].fill(7);
        let moves = through(&old, &new).0;
        assert!(moves.len() < 30, "{}", moves.len());
        assert!(encode(&old, &new, &mut Places::default(), moves.len() - 1, &mut Vec::new()).is_none());
    }

    #[test]
    fn moves_that_make_a_shorter_or_a_longer_image_are_refused() {
        let ten = [5_u8; 10];
        // Nothing; too few; too many that follow; too many that stay; from before the beginning; from behind the end.
        let wrong: [&[u8]; 6] =
            [&[], &[1, 9], &[11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 22], &[0, 21, 1], &[0, 3, 20]];
        for moves in wrong {
            assert_eq!(apply(moves, &mut ten.to_vec()), None, "{moves:?}");
        }
        let mut image = ten.to_vec();
        apply(&[1, 9, 18], &mut image).unwrap();
        assert_eq!(image, [9, 5, 5, 5, 5, 5, 5, 5, 5, 5]);
    }
}
