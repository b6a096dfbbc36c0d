use std::io;
use std::path::Path;

/// What was done to a watched file, or said, in the order in which it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// A file that was there before, under its name.
    Known,
    /// A new file.
    Created,
    /// Bytes written.
    Write,
    /// A length set.
    Size,
    /// A length raised.
    Grow,
    /// A range made zero.
    Zero,
    /// `fsync`.
    Sync,
    /// `fdatasync`.
    SyncData,
    /// `msync`.
    SyncRange,
    /// A name removed.
    Unlink,
    /// A name changed; both, on a line each.
    Rename,
    /// `fsync` of a folder.
    SyncFolder,
    /// Written to stdout.
    Said,
    /// What a mapped page has become.
    Page,
    /// Times set.
    Times,
}

const OPS: [Op; 15] = [
    Op::Known,
    Op::Created,
    Op::Write,
    Op::Size,
    Op::Grow,
    Op::Zero,
    Op::Sync,
    Op::SyncData,
    Op::SyncRange,
    Op::Unlink,
    Op::Rename,
    Op::SyncFolder,
    Op::Said,
    Op::Page,
    Op::Times,
];

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) op: Op,
    /// Number of the file.
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Times of the file afterwards: modification s, ns, change s, ns.
    pub(super) times: [i64; 4],
    pub(super) bytes: Vec<u8>,
}

impl Entry {
    /// The bytes as text: a name, or what was said.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("UTF-8")
    }
}

const HEAD: usize = 64;

/// Reads what `preload.c` wrote.
pub(super) fn load(path: &Path) -> io::Result<Vec<Entry>> {
    let bytes = std::fs::read(path)?;
    let mut entries = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (head, after) = rest.split_at(HEAD);
        let u32_at = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let size = usize::try_from(u64_at(56)).expect("in memory");
        let (data, after) = after.split_at(size);
        entries.push(Entry {
            op: OPS[u32_at(0) as usize - 1],
            file: u32_at(4),
            offset: u64_at(8),
            length: u64_at(16),
            times: [24, 32, 40, 48].map(|at| u64_at(at).cast_signed()),
            bytes: data.to_vec(),
        });
        rest = after;
    }
    Ok(entries)
}
