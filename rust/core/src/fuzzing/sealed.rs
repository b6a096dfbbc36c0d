use std::collections::BTreeSet;

use crate::format::Head;
use crate::seal;

/// All forms in which a body can stand in a sealed file of the newest layout.
pub const FORMS_OF_BODIES: [&str; 5] = ["whole", "equal", "runs", "moves", "leaning"];

/// In which of these forms, or in that of an older layout, bodies stand in a sealed file. `None` for a file that is not a whole sealed one.
#[must_use]
pub fn forms_of_bodies(file: &[u8]) -> Option<BTreeSet<&'static str>> {
    seal::forms(file)
}

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

/// What a digest says, to be changed at will. To be read at all it must ascend by object, and by offset, in multiples of 8; to be believed,
/// each record must be covered by its object's summary.
#[derive(Clone, Debug)]
pub struct ForgedDigest {
    /// What holds for all records of an object.
    pub summaries: Vec<ForgedSummary>,
    /// Those that are listed.
    pub records: Vec<ForgedRecord>,
}

/// See `rust/docs/sealing.md`, "Digest".
#[derive(Clone, Copy, Debug)]
pub struct ForgedSummary {
    /// The object.
    pub object: u32,
    /// The highest LSN.
    pub highest: u64,
    /// The same without after-images and cuts.
    pub highest_said: u64,
    /// The highest LSN of an after-image.
    pub newest_after: u64,
    /// Offset of the newest record that is not about names or marks.
    pub newest: u32,
}

/// A listed record.
#[derive(Clone, Debug)]
pub struct ForgedRecord {
    /// What it says.
    pub head: Head,
    /// Where it would stand in the segment.
    pub offset: u32,
    /// Its body.
    pub body: Vec<u8>,
}

/// A sealed file whose digest was changed and has the right hashes all the same; everything else is as it was. `None` for a file that is not a
/// whole sealed one, or has no digest.
pub fn forge_digest(file: &[u8], change: &mut dyn FnMut(&mut ForgedDigest)) -> Option<Vec<u8>> {
    seal::forged_digest(file, change)
}
