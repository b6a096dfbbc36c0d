//! Which copies of SQLite this process has mapped: `rust/docs/keeper.md`, "Counting copies".

mod maps;
mod marker;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use dbrewind_sqlite::SqliteApi;

use crate::ffi;
use maps::Mapped;

/// Smaller files are not looked into: the smallest SQLite there is has twice this, in bytes.
const SMALLEST: u64 = 300_000;

/// Libraries that are large, in nearly every process, and not SQLite. By the beginning of the file's name.
const WELL_KNOWN: [&str; 16] = [
    "ld-linux",
    "libc.so",
    "libc-2",
    "libm.so",
    "libm-2",
    "libstdc++.",
    "libgcc_s.",
    "libcrypto.",
    "libcrypto-",
    "libssl.",
    "libicudata.",
    "libicuuc.",
    "libicui18n.",
    "libgfortran.",
    "libopenblas",
    "_multiarray_umath.",
];

/// Reads a list of mappings that no kernel wrote.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(list: &[u8]) {
    maps::fuzz(list);
}

/// One copy of SQLite in this process.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Copy {
    /// The file that contains it.
    pub path: PathBuf,
    /// Whether its functions can be found by name.
    pub visible: bool,
    /// Whether that file also contains this library, so that the copy is ours and used in a keeper only.
    pub own: bool,
    addresses: Vec<std::ops::Range<usize>>,
}

impl Copy {
    /// Whether this is the copy that the table reaches.
    #[must_use]
    pub fn is(&self, api: &SqliteApi) -> bool {
        self.addresses.iter().any(|range| range.contains(&api.identity()))
    }
}

/// Every copy of SQLite that is mapped now. Takes about a millisecond; files are looked into once.
///
/// # Errors
/// When the system does not tell what is mapped.
pub fn mapped() -> io::Result<Vec<Copy>> {
    let here = mapped as fn() -> io::Result<Vec<Copy>> as usize;
    let program = std::env::current_exe().ok();
    let mut copies = Vec::new();
    for file in maps::executable_files()? {
        let name = file.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if WELL_KNOWN.iter().any(|known| name.starts_with(known)) {
            continue;
        }
        // With the server this library is linked with the bundled copy: nothing to look for. Without it, in a program that
        // it was linked into, the copy beside it is the program's.
        let own = cfg!(feature = "server") && file.contains(here);
        let visible = is_visible(&file, program.as_deref());
        if own || visible || is_hidden(&file, &name) {
            copies.push(Copy { path: file.path, visible, own, addresses: file.addresses });
        }
    }
    Ok(copies)
}

/// Every copy but the one that the table reaches and our own: those whose locks ours would destroy.
///
/// # Errors
/// As [`mapped`].
pub fn others(api: Option<&SqliteApi>) -> io::Result<Vec<Copy>> {
    let mut copies = mapped()?;
    copies.retain(|copy| !copy.own && !api.is_some_and(|api| copy.is(api)));
    Ok(copies)
}

fn is_visible(file: &Mapped, program: Option<&Path>) -> bool {
    let path = (program != Some(file.path.as_path())).then_some(file.path.as_path());
    // A library finds its dependencies' symbols too: only an address inside the file itself counts.
    ffi::symbol_address(path, c"sqlite3_libversion").is_some_and(|address| file.contains(address))
}

fn is_hidden(file: &Mapped, name: &str) -> bool {
    static SEEN: Mutex<Option<HashMap<marker::Identity, bool>>> = Mutex::new(None);
    let Ok(identity) = marker::Identity::of(&file.path) else {
        // Replaced by an upgrade while mapped, or not ours to read: only its name is left to judge by.
        return name.starts_with("libsqlite3.") || name.starts_with("apsw.") || name.contains("sqlcipher");
    };
    if identity.size < SMALLEST {
        return false;
    }
    // Not waited for: a fork in another thread may have left it locked for ever.
    if let Ok(seen) = SEEN.try_lock()
        && let Some(known) = seen.as_ref().and_then(|seen| seen.get(&identity))
    {
        return *known;
    }
    let found = marker::is_in(&file.path).unwrap_or(false);
    if let Ok(mut seen) = SEEN.try_lock() {
        seen.get_or_insert_default().insert(identity, found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_this_program_is_found_and_is_ours() {
        let api = SqliteApi::bundled();
        let copies = mapped().unwrap();
        assert_eq!(copies.len(), 1, "{copies:?}");
        assert!(copies[0].own && copies[0].is(&api), "{copies:?}");
        assert_eq!(others(None).unwrap(), []);
    }
}
