//! What a writer leaves in the log when it is stopped between its reservation and its commit.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

#[expect(dead_code, reason = "the log needs more of it than this")]
#[path = "../../src/format/word.rs"]
mod word;

use word::{Owner, Place, Word};

/// Leaves a reservation for a body of `len` bytes by an owner of a slot.
pub(crate) fn reserve(
    dir: &Path,
    owner: (u16, u16),
    segment: u32,
    offset: u32,
    len: u32,
) -> std::io::Result<()> {
    let (slot, generation) = owner;
    let word = Word::reserved(Place { segment, offset }, Owner { slot, generation }, len);
    let log = fs::OpenOptions::new().write(true).open(dir.join(format!("{segment:016x}.seg")))?;
    log.write_all_at(&word.raw().to_le_bytes(), u64::from(offset))
}
