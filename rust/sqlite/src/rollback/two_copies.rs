//! Two copies of SQLite in one process that have the same file open destroy each other's locks: closing a
//! descriptor drops all of the process's locks on the file, and each copy knows only its own descriptors.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::file_id::FileId;
use super::{holders, registry};

/// Every build of SQLite has this in it: the first bytes of a database.
const SIGN: &[u8] = b"SQLite format 3\0";

/// The objects with SQLite in them, if there are several and one of them may have the file open.
///
/// `ours`: how many descriptors of the file our own handles have. One descriptor that nobody accounts for
/// is no proof: a connection of the same SQLite, opened before the shim, has one too. Only together with a
/// second copy in the process it is refused.
pub(crate) fn found(file: FileId, ours: usize) -> Option<Vec<PathBuf>> {
    let accounted = registry::held_here(file).connections + ours;
    if holders::open_here(file) <= accounted {
        return None;
    }
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let copies: Vec<PathBuf> = executables(&maps).into_iter().filter(|path| contains_sqlite(path)).collect();
    (copies.len() > 1).then_some(copies)
}

/// The mapped files with code in them.
fn executables(maps: &str) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    for line in maps.lines() {
        // address perms offset device inode path
        let fields: Vec<&str> = line.splitn(6, ' ').collect();
        if let [_, perms, .., path] = fields.as_slice()
            && perms.contains('x')
        {
            let path = path.trim_start_matches(|c: char| c != '/');
            if !path.is_empty() && !path.ends_with(" (deleted)") {
                paths.insert(PathBuf::from(path));
            }
        }
    }
    paths
}

fn contains_sqlite(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) | Err(_) => return false,
            Ok(read) => {
                let read_now = buffer.get(..read).unwrap_or_default();
                if read_now.windows(SIGN.len()).any(|window| window == SIGN) {
                    return true;
                }
                if read < SIGN.len() {
                    return false;
                }
                // The sign may lie across two reads.
                at += (read - SIGN.len() + 1) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_code_is_found() {
        let maps = "7f00-7f01 r-xp 00000000 fd:01 123                        /usr/lib/libsqlite3.so.0\n\
                    7f01-7f02 rw-p 00001000 fd:01 123                        /usr/lib/libsqlite3.so.0\n\
                    7f02-7f03 r--p 00000000 fd:01 124                        /usr/share/x\n\
                    7f03-7f04 r-xp 00000000 00:00 0                          [vdso]\n";
        assert_eq!(executables(maps), BTreeSet::from([PathBuf::from("/usr/lib/libsqlite3.so.0")]));
    }

    #[test]
    fn sign_across_reads_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        let mut bytes = vec![0; (1 << 20) - 5];
        bytes.extend_from_slice(SIGN);
        fs::write(&path, &bytes).unwrap();
        assert!(contains_sqlite(&path));
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(!contains_sqlite(&path));
    }
}
