//! The bytes of the golden folders, pinned by a digest of each file.

use std::fs;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::entries;

/// The file with the digests, beside the folders of the versions.
pub const PINS: &str = "digests.txt";

/// A line for each file below a folder, by its path from there: xxh3-128 of its bytes, as `xxh128sum` prints it, and the path.
///
/// # Panics
/// When one cannot be read.
#[must_use]
pub fn pins(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for version in entries(root).iter().filter(|path| path.is_dir()) {
        below(version, root, &mut lines);
    }
    lines.sort_by_key(|line| name(line));
    lines
}

fn name(line: &str) -> Option<String> {
    line.split_once("  ").map(|(_, name)| name.to_owned())
}

fn below(folder: &Path, root: &Path, lines: &mut Vec<String>) {
    for path in entries(folder) {
        if path.is_dir() {
            below(&path, root, lines);
        } else {
            let digest = xxh3_128(&fs::read(&path).expect("a file"));
            let name = path.strip_prefix(root).expect("below it").display();
            lines.push(format!("{digest:032x}  {name}"));
        }
    }
}

/// Pins the files that are not pinned yet. The others keep their digests, whatever they are now.
///
/// # Panics
/// When that cannot be written.
pub fn pin_new(root: &Path) {
    let file = root.join(PINS);
    let before = fs::read_to_string(&file).unwrap_or_default();
    let pinned: Vec<_> = before.lines().filter_map(name).collect();
    let new = pins(root).into_iter().filter(|line| name(line).is_some_and(|name| !pinned.contains(&name)));
    let mut all: Vec<String> = before.lines().map(str::to_owned).chain(new).collect();
    all.sort_by_key(|line| name(line));
    fs::write(file, all.join("\n") + "\n").expect("the digests");
}
