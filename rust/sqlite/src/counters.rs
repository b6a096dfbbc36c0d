//! Numbers in 32 bits that connections compare to notice change, near and past their largest value.
//!
//! A **change counter** wraps, as SQLite's own does: it goes on at 0 after 2^32 - 1, and one that is less than 2^31 ahead
//! of the newest one known is newer. A register holds it in 64 bits, with how often it has wrapped above, so that raising
//! it stays a maximum. Who sleeps through 2^32 changes is fooled by plain SQLite, too.
//!
//! A **schema cookie** does not: an old one may still be in use, by a connection or in a state to rewind to, however long
//! ago it was given. When none is left above all that were ever seen, a rewind that needs one is refused.

use crate::error::Error;

/// The value of a counter's register that has seen this number, too: the old one, if the number is older.
pub(crate) fn seen(known: u64, number: u32) -> u64 {
    if known == 0 {
        return u64::from(number);
    }
    let ahead = number.wrapping_sub(low(known)).cast_signed();
    known.max(known.saturating_add_signed(i64::from(ahead)))
}

/// The counter in a register.
pub(crate) fn low(known: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half counts wraps")]
    let low = known as u32;
    low
}

/// A counter above all in the register, by at least `step`. Not 0, which stands for "never".
pub(crate) fn above(known: u64, step: u32) -> u32 {
    low(known.wrapping_add(u64::from(step))).max(1)
}

/// A schema cookie above this one.
///
/// # Errors
/// `DBR021` when there is none.
pub(crate) fn fresh_cookie(highest: u32) -> Result<u32, Error> {
    highest.checked_add(1).ok_or_else(|| Error::Unsupported {
        what: "the schema is another one there, and no number is left to tell connections so: PRAGMA schema_version has \
               been at its largest value (-1). Rewind to a mark with the present schema; or close the recording, set \
               PRAGMA schema_version = 1, remove the store's folder, and begin anew"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_on_past_its_largest_number() {
        assert_eq!(seen(0, u32::MAX), u64::from(u32::MAX));
        assert_eq!(seen(5, 7), 7);
        assert_eq!(seen(7, 5), 7);
        assert_eq!(seen(5, u32::MAX), 5, "older, by wrapping");
        let border = u64::from(u32::MAX);
        assert_eq!(seen(border, 3), border + 4);
        assert_eq!(seen(border + 4, u32::MAX), border + 4);
        assert_eq!(low(border + 4), 3);
        assert_eq!(above(border - 1, 1), u32::MAX);
        assert_eq!(above(border, 1), 1);
        assert_eq!(above(border, 64), 63);
    }

    #[test]
    fn a_cookie_does_not() {
        assert_eq!(fresh_cookie(u32::MAX - 1).unwrap(), u32::MAX);
        assert!(fresh_cookie(u32::MAX).is_err());
    }
}
