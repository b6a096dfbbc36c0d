use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A file that this process runs code of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mapped {
    pub(super) path: PathBuf,
    /// Where its executable parts are.
    pub(super) addresses: Vec<Range<usize>>,
}

impl Mapped {
    pub(super) fn contains(&self, address: usize) -> bool {
        self.addresses.iter().any(|range| range.contains(&address))
    }
}

/// The files that are mapped executable, in order of address.
pub(super) fn executable_files() -> io::Result<Vec<Mapped>> {
    Ok(parse(&std::fs::read("/proc/self/maps")?))
}

fn parse(maps: &[u8]) -> Vec<Mapped> {
    let mut files: Vec<Mapped> = Vec::new();
    let mut by_path: HashMap<&[u8], usize> = HashMap::new();
    for (range, path) in maps.split(|byte| *byte == b'\n').filter_map(executable_line) {
        let index = *by_path.entry(path).or_insert(files.len());
        match files.get_mut(index) {
            Some(file) => file.addresses.push(range),
            None => {
                let path = PathBuf::from(OsStr::from_bytes(path));
                files.push(Mapped { path, addresses: vec![range] });
            }
        }
    }
    files
}

/// `7f00-7f10 r-xp 00001000 fe:01 1234      /usr/lib/x.so`
fn executable_line(line: &[u8]) -> Option<(Range<usize>, &[u8])> {
    // Only the path can have blanks, and it begins with the first slash of the line.
    let path = line.get(line.iter().position(|byte| *byte == b'/')?..)?;
    let mut words = line.split(|byte| *byte == b' ');
    let range = std::str::from_utf8(words.next()?).ok()?;
    if words.next()?.get(2) != Some(&b'x') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?, path))
}

/// Reads a list of mappings that no kernel wrote.
#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(list: &[u8]) {
    let files = parse(list);
    for (index, file) in files.iter().enumerate() {
        assert!(!file.addresses.is_empty());
        let twice = files.iter().skip(index + 1).any(|other| other.path.as_os_str() == file.path.as_os_str());
        assert!(!twice, "a file is there twice");
        let _ = file.contains(0x1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let maps = b"1000-2000 r--p 00000000 fe:01 7   /lib/a b.so\n\
            2000-3000 r-xp 00001000 fe:01 7   /lib/a b.so\n\
            5000-6000 r-xp 00001000 fe:01 8   /lib/c.so (deleted)\n\
            7000-8000 r-xp 00000000 00:00 0   [vdso]\n\
            8000-9000 r-xp 00004000 fe:01 7   /lib/a b.so\n\
            nonsense\n zz-1 r-xp 0 0 0 /x\n";
        let found = parse(maps);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].path, PathBuf::from("/lib/a b.so"));
        assert_eq!(found[0].addresses, [0x2000..0x3000, 0x8000..0x9000]);
        assert!(found[0].contains(0x8fff) && !found[0].contains(0x1000));
        assert_eq!(found[1].path, PathBuf::from("/lib/c.so (deleted)"));
    }
}
