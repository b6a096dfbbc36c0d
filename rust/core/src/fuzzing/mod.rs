//! What the fuzz targets and the campaigns need of the inside: each decoder and the timeline behind a plain
//! `fn(&[u8])`, the means to forge bytes that get past the hashes, a look at words that no reader is shown, and smaller segments.
//! Only with the feature `fuzzing`; nothing here is for users, and nothing is promised about it.
//!
//! A function returns if the bytes were handled as they must be, and panics if they were not.

mod decoders;
mod forge;
mod history;
mod sealed;
mod small;
mod words;

pub use decoders::decoders;
pub use forge::{Forged, forge_control_header, forge_record, forge_segment_header, forge_window, forge_word};
pub use history::{history, questions};
pub use sealed::{
    FORMS_OF_BODIES, ForgedDigest, ForgedRecord, ForgedSummary, forge_digest, forge_sealed, forms_of_bodies,
    parts,
};
pub use small::{set_small_segments, small_segments};
pub use words::{FORMAT_VERSION, SEALED_VERSION, end, given_up, given_up_between};
