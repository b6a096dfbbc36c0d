//! The fuzz targets: each takes any bytes, and panics if they were not handled as they must be. libFuzzer runs them
//! (`make fuzz`, `tests/fuzz`), and a plain test runs them over the committed corpus.

mod damage;
mod decoders;
mod digests;
mod eras;
mod folder;
mod input;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

pub use damage::{sealed, store, window};
pub use decoders::DECODERS;
pub use digests::digests;
pub use pages::diff;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the name of their corpus.
pub const TARGETS: [(&str, Target); 11] = [
    ("format", dbrewind_core::fuzzing::decoders),
    ("timeline", dbrewind_core::fuzzing::history),
    ("sqlite", dbrewind_sqlite::fuzzing::decoders),
    ("keeper", dbrewind_keeper::fuzzing::decoders),
    ("store", store),
    ("sealed", sealed),
    ("window", window),
    ("parts", dbrewind_core::fuzzing::parts),
    ("diff", diff),
    ("volume", volume),
    ("digests", digests),
];

/// What a volume decodes, and a history of one that may say anything.
pub fn volume(data: &[u8]) {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let folder = folder::scratch().join(format!("volume-{}", RUN.fetch_add(1, Ordering::Relaxed)));
    dbrewind_volume::fuzzing::decoders(data, &folder);
    let _none = fs::remove_dir_all(&folder);
}

/// The committed inputs of a target, in order of their names.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn corpus(root: &Path, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder =
        fs::read_dir(root.join(target)).unwrap_or_else(|error| panic!("corpus of {target}: {error}"));
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(&path).expect("input"))).collect()
}

/// Runs one target over one input.
///
/// # Panics
/// When there is no such target, or it finds something.
pub fn run(target: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, target) = found.unwrap_or_else(|| panic!("no target {target}"));
    target(data);
}
