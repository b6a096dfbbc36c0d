const MIB: u64 = 1024 * 1024;

/// How large a store may get, and in which steps. All sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Size of the first segment of a new store. Default 4 MiB; rounded up to 4 KiB.
    pub first_segment: u64,
    /// Each segment has twice the size of the one before it, up to this. Default 256 MiB, at most 1 GiB. On a disk with
    /// less room it becomes as long as there is room for.
    pub max_segment: u64,
    /// Size of all segments together, unless [`Store::set_limit`](crate::Store::set_limit) has set another one. An append
    /// that would need more answers [`AppendError::Full`](crate::AppendError::Full). Default 16 GiB.
    pub limit: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let (first_segment, max_segment) = SEGMENTS;
        let default = Self { first_segment, max_segment, limit: 16 * 1024 * MIB };
        #[cfg(feature = "fuzzing")]
        if let Some((first_segment, max_segment)) = crate::fuzzing::small_segments() {
            return Self { first_segment, max_segment, ..default };
        }
        default
    }
}

/// Of the first segment, and of the longest.
const SEGMENTS: (u64, u64) = (4 * MIB, 256 * MIB);
