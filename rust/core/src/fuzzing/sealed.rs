use crate::seal;

/// A sealed file whose index was changed and has the right hashes all the same: `change` gets its columns, unpacked; `records` replaces the
/// number of records that it tells. `None` for a file that is not a whole sealed one.
pub fn forge_sealed(
    file: &[u8],
    records: Option<u8>,
    change: &mut dyn FnMut(&mut Vec<u8>),
) -> Option<Vec<u8>> {
    seal::forged(file, records, change)
}
