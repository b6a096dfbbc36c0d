//! Two copies of SQLite in one process that have the same file open destroy each other's locks: closing a
//! descriptor drops all of the process's locks on the file, and each copy knows only its own descriptors.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{holders, registry};
use crate::file::FileId;

/// Every build of SQLite has this in it: the first bytes of a database.
const SIGN: &[u8] = b"SQLite format 3\0";

/// The objects with SQLite in them, if there are several and one of them may have the file open.
///
/// `ours`: how many descriptors of the file our own handles have. One descriptor that nobody accounts for
/// is no proof: a connection of the same SQLite, opened before the shim, has one too. Only together with a
/// second copy in the process it is refused. Which of the two it is cannot be found out: the kernel does not tell who
/// opened a descriptor, an idle connection holds no lock that `/proc/self/fdinfo` could show, and SQLite keeps its
/// table of open files to itself. So the error names both.
///
/// `identity`: an address in the SQLite we record. A copy that is linked into this library and is not that one
/// is for keepers: in this process nobody calls it.
pub(crate) fn found(file: FileId, ours: usize, identity: usize) -> Option<Vec<PathBuf>> {
    let accounted = registry::held_here(file).connections + ours;
    if holders::open_here(file) <= accounted {
        return None;
    }
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let here = found as fn(FileId, usize, usize) -> Option<Vec<PathBuf>> as usize;
    let copies: Vec<PathBuf> = executables(&maps)
        .into_iter()
        .filter(|(_, code)| !is_spare(code, here, identity))
        .map(|(path, _)| path)
        .filter(|path| !is_ours(path) && contains_sqlite(path))
        .collect();
    (copies.len() > 1).then_some(copies)
}

/// Whether the object with this code is our own and the SQLite we record is in another.
fn is_spare(code: &[Range<usize>], here: usize, identity: usize) -> bool {
    let contains = |address| code.iter().any(|range| range.contains(&address));
    contains(here) && !contains(identity)
}

/// The mapped files with code in them, and where that is.
fn executables(maps: &str) -> BTreeMap<PathBuf, Vec<Range<usize>>> {
    let mut files = BTreeMap::<_, Vec<_>>::new();
    for line in maps.lines() {
        // address perms offset device inode path
        let fields: Vec<&str> = line.splitn(6, ' ').collect();
        if let [addresses, perms, .., path] = fields.as_slice()
            && perms.contains('x')
            && let Some((start, end)) = addresses.split_once('-')
            && let (Ok(start), Ok(end)) = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
        {
            let path = path.trim_start_matches(|c: char| c != '/');
            if !path.is_empty() && !path.ends_with(" (deleted)") {
                files.entry(PathBuf::from(path)).or_default().push(start..end);
            }
        }
    }
    files
}

/// Libraries of ours that other programs load: they know the sign, too, and have no SQLite in them. By their whole names: what begins
/// like them may be a program's own, with a SQLite in it.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let version = |rest: &str| rest.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    name.strip_prefix("libdbrewind.so").is_some_and(version)
        || ["libdbrewind_preload.so", "libdbrewind_sqlite_extension.so"].contains(&&*name)
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
        let found = executables(maps);
        let code = 0x7f00..0x7f01;
        assert_eq!(found, BTreeMap::from([(PathBuf::from("/usr/lib/libsqlite3.so.0"), vec![code])]));
    }

    #[test]
    fn our_own_copy_counts_only_when_it_is_the_recorded_one() {
        let code = [0x7f00..0x7f10, 0x7f20..0x7f30];
        assert!(is_spare(&code, 0x7f05, 0x6000));
        assert!(!is_spare(&code, 0x7f05, 0x7f25));
        assert!(!is_spare(&code, 0x5000, 0x6000));
    }

    #[test]
    fn our_libraries_are_known_by_their_whole_names() {
        let ours = ["libdbrewind.so", "libdbrewind.so.0", "libdbrewind.so.0.1.0", "libdbrewind_preload.so"];
        for name in ours.into_iter().chain(["libdbrewind_sqlite_extension.so"]) {
            assert!(is_ours(&Path::new("/usr/lib").join(name)), "{name}");
        }
        for name in
            ["libdbrewind_shop.so", "libdbrewinding.so.1", "libdbrewind.so.bundled", "libsqlite3.so.0"]
        {
            assert!(!is_ours(&Path::new("/usr/lib").join(name)), "{name}");
        }
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
