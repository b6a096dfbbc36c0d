//! One image by another of the same length: nothing, if they are equal; runs, or moves where those are shorter.

use super::moves::{self, Places};
use super::runs;

const RUNS: u8 = 0;
const MOVES: u8 = 1;
/// Runs that are no longer than this are not compared with anything.
const SHORT: usize = 64;

/// Makes differences; kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Differences {
    places: Places,
    moves: Vec<u8>,
}

impl Differences {
    /// Appends what makes `new` of `old`, which is as long.
    pub(super) fn encode(&mut self, old: &[u8], new: &[u8], out: &mut Vec<u8>) {
        if old == new {
            return;
        }
        let start = out.len();
        out.push(RUNS);
        runs::encode(old, new, out);
        let most = out.len() - start - 1;
        self.moves.clear();
        if most > SHORT && moves::encode(old, new, &mut self.places, most, &mut self.moves).is_some() {
            out.truncate(start);
            out.push(MOVES);
            out.extend_from_slice(&self.moves);
        }
    }
}

/// Makes the next image of this one; `None`, and the image is anything, if this is no difference from it.
pub(super) fn apply(difference: &[u8], image: &mut Vec<u8>) -> Option<()> {
    match difference.split_first() {
        None => Some(()),
        Some((&RUNS, runs)) => runs::apply(runs, image),
        Some((&MOVES, moves)) => moves::apply(moves, image),
        Some(_) => None,
    }
}

/// Which kind of difference this is; `None`: of no known one.
#[cfg(feature = "fuzzing")]
pub(super) fn form(difference: &[u8]) -> Option<&'static str> {
    match difference.first() {
        None => Some("equal"),
        Some(&RUNS) => Some("runs"),
        Some(&MOVES) => Some("moves"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_images_take_nothing_small_changes_runs_and_large_ones_moves() {
        let old: Vec<u8> = (0..4000_u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let mut near = old.clone();
        near[70] ^= 1;
        let mut far = old.clone();
        far.rotate_left(30);
        for (new, first, most) in [(&old, None, 0), (&near, Some(&RUNS), 4), (&far, Some(&MOVES), 50)] {
            let (mut difference, mut image) = (Vec::new(), old.clone());
            Differences::default().encode(&old, new, &mut difference);
            assert_eq!(difference.first(), first);
            assert!(difference.len() <= most, "{difference:?}");
            apply(&difference, &mut image).unwrap();
            assert_eq!(&image, new);
        }
        assert_eq!(apply(&[2], &mut vec![0; 9]), None);
    }
}
