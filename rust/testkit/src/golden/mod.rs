//! Golden stores: written once by the version that introduced their format, never again, and read by every later one.
//!
//! `tests/golden/README.md` says what is in a folder.

mod compare;
mod keyed;
mod pins;
mod story;
mod volume;
mod write;
mod writers;

use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

pub use compare::{compare, compare_history, still};
pub use keyed::{Records, attach_keyed};
pub use pins::{PINS, pin_new, pins};
pub use story::{Told, tell};
pub use volume::{Bytes, attach};
pub use write::write;

/// The store in a golden folder.
pub const STORE: &str = "store";
/// The database it belongs to, as it was when everybody had closed it.
pub const DATABASE: &str = "app.db";
/// What the store says, in words.
pub const STORY: &str = "story.txt";
/// Folder of the states: a file for each mark, with the mark's LSN as its name.
pub const STATES: &str = "states";

/// Who has committed, and how often, as it was known without the store: a line for each thread, the newest commit first.
pub const WRITERS: &str = "writers.txt";

/// Copies a folder, with everything in it.
///
/// # Panics
/// When it cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for path in entries(from) {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::write(&target, fs::read(&path).expect("a file")).expect("a copy");
        }
    }
}

/// What is in a folder, by name.
///
/// # Panics
/// When it cannot be listed.
#[must_use]
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// A number that tells a folder with all its files from any other.
#[must_use]
pub fn digest(folder: &Path) -> u128 {
    let mut all = Vec::new();
    for path in entries(folder) {
        all.extend_from_slice(path.file_name().expect("a name").as_encoded_bytes());
        let content = if path.is_dir() { digest(&path) } else { xxh3_128(&fs::read(&path).expect("a file")) };
        all.extend_from_slice(&content.to_le_bytes());
    }
    xxh3_128(&all)
}
