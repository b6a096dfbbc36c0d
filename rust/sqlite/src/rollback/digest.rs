use xxhash_rust::xxh3::Xxh3;

use super::content::{Content, read_padded};
use crate::ffi::VfsError;

/// Bytes of page 1 that a rewind moves forward; the hash takes them as zeros.
const MOVING: [std::ops::Range<usize>; 4] = [18..20, 24..28, 40..44, 92..96];

/// xxh3-128 over the extent (u64, little-endian) and all pages, moving bytes as zeros.
pub(crate) fn of(file: &mut dyn Content, size: u64, block: u32) -> Result<[u8; 16], VfsError> {
    let extent = size.div_ceil(u64::from(block));
    let mut hash = Xxh3::new();
    hash.update(&extent.to_le_bytes());
    let mut page = vec![0; block as usize];
    for index in 0..extent {
        read_padded(file, &mut page, index * u64::from(block))?;
        if index == 0 {
            for range in MOVING {
                page.get_mut(range).unwrap_or_default().fill(0);
            }
        }
        hash.update(&page);
    }
    Ok(hash.digest128().to_le_bytes())
}
