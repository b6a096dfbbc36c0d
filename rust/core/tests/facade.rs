//! Atomics come through `src/sync.rs` only; otherwise the loom models would not see them.

use std::fs;
use std::path::Path;

fn sources(folder: &Path, found: &mut Vec<(String, String)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

#[test]
fn atomics_come_through_the_facade() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found).unwrap();
    assert!(found.len() > 30, "found only {} sources", found.len());
    let using: Vec<&str> = found
        .iter()
        .filter(|(_, text)| text.contains("sync::atomic") || text.contains("UnsafeCell"))
        .map(|(path, _)| path.as_str())
        .collect();
    assert!(matches!(using[..], [only] if only.ends_with("src/sync.rs")), "{using:?}");
}
