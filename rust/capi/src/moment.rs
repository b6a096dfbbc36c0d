//! Which database a moment belongs to.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A number that stands for a database's path, the same in every process and version (FNV-1a, 64 bits). Never 0, which
/// means "not known".
pub(crate) fn database_number(path: &Path) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in path.as_os_str().as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_changes() {
        // The test vectors of the hash: callers store these numbers.
        assert_eq!(database_number(Path::new("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(database_number(Path::new("foobar")), 0x8594_4171_f739_67e8);
    }
}
