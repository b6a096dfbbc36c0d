use std::sync::{Mutex, PoisonError};

static SMALL: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// Has stores that are opened from now on by [`StoreOptions::default`](crate::StoreOptions) begin with another segment, and have no longer
/// one than that, in bytes: their log soon leaves segments, which are looked after at once then. `None`: as ever.
pub fn set_small_segments(first_and_longest: Option<(u64, u64)>) {
    *SMALL.lock().unwrap_or_else(PoisonError::into_inner) = first_and_longest;
}

/// What was set.
#[must_use]
pub fn small_segments() -> Option<(u64, u64)> {
    *SMALL.lock().unwrap_or_else(PoisonError::into_inner)
}
