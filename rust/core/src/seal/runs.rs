//! One image by what differs from another of the same length: (bytes that stay, bytes that follow, those bytes)*.

use super::varint::{Numbers, put};

/// Fewer equal bytes than this between two runs are cheaper as part of them.
const GAP: usize = 4;
/// Equal stretches are passed over in steps of this many bytes.
const STRIDE: usize = 32;

/// Appends the runs that make `new` of `old`, which is as long.
pub(super) fn encode(old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let mut said = 0;
    while let Some(first) = next_difference(old, new, said) {
        let end = end_of_run(old, new, first);
        put(out, (first - said) as u64);
        put(out, (end - first) as u64);
        out.extend_from_slice(new.get(first..end).unwrap_or_default());
        said = end;
    }
}

/// Makes the next image of this one; `None`, and the image is anything, if these are no runs for it.
pub(super) fn apply(runs: &[u8], image: &mut [u8]) -> Option<()> {
    let mut numbers = Numbers::new(runs);
    let mut at = 0_usize;
    while !numbers.is_empty() {
        at = at.checked_add(usize::try_from(numbers.number()?).ok()?)?;
        let run = usize::try_from(numbers.number()?).ok()?;
        let run = numbers.bytes(run)?;
        let end = at.checked_add(run.len())?;
        image.get_mut(at..end)?.copy_from_slice(run);
        at = end;
    }
    Some(())
}

fn next_difference(old: &[u8], new: &[u8], from: usize) -> Option<usize> {
    let (old, new) = (old.get(from..)?, new.get(from..)?);
    let strides = old.chunks(STRIDE).zip(new.chunks(STRIDE));
    let mut at = from;
    for (old, new) in strides {
        if old != new {
            return Some(at + old.iter().zip(new).position(|(old, new)| old != new)?);
        }
        at += old.len();
    }
    None
}

fn end_of_run(old: &[u8], new: &[u8], first: usize) -> usize {
    let mut end = first + 1;
    let pairs = old.iter().zip(new).enumerate().skip(end);
    for (at, (old, new)) in pairs {
        if old != new {
            end = at + 1;
        } else if at - end >= GAP - 1 {
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through(old: &[u8], new: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut runs, mut image) = (Vec::new(), old.to_vec());
        encode(old, new, &mut runs);
        apply(&runs, &mut image).unwrap();
        (runs, image)
    }

    proptest! {
        #[test]
        fn images_come_back(
            old in proptest::collection::vec(0_u8..3, 0..300),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        ) {
            let mut new = old.clone();
            for (at, byte) in changes.iter().filter(|_| !old.is_empty()) {
                new[at.index(old.len())] = *byte;
            }
            prop_assert_eq!(through(&old, &new).1, new);
        }

        #[test]
        fn any_bytes_make_an_image_or_nothing(runs: Vec<u8>, mut image: Vec<u8>) {
            let len = image.len();
            let _ = apply(&runs, &mut image);
            prop_assert_eq!(image.len(), len);
        }
    }

    #[test]
    fn equal_images_need_no_bytes_and_near_changes_share_a_run() {
        assert_eq!(through(&[5; 100], &[5; 100]).0, []);
        let mut new = [5; 100];
        (new[50], new[54]) = (6, 7);
        assert_eq!(through(&[5; 100], &new).0, [50, 5, 6, 5, 5, 5, 7]);
        (new[54], new[55]) = (5, 7);
        assert_eq!(through(&[5; 100], &new).0, [50, 1, 6, 4, 1, 7]);
    }

    #[test]
    fn runs_past_the_end_are_refused() {
        for runs in [&[9, 2, 1, 1][..], &[11, 0], &[0, 5, 1], &[0xff], &[1]] {
            assert_eq!(apply(runs, &mut [0; 10]), None, "{runs:?}");
        }
    }
}
