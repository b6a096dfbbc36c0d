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

/// Hands the bytes after the first to the part of a sealed file that the first one chooses: header, digest or index, with the right hash
/// and with any, or what makes one image of another. What is decoded must encode to what decodes to the same; what makes an image makes one as
/// long, or none.
pub fn parts(data: &[u8]) {
    seal::parts(data);
}
