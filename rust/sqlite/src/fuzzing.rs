//! What the fuzz targets and the golden stores need of the inside: everything this crate decodes, behind a plain
//! `fn(&[u8])`. Only with the feature `fuzzing`; nothing here is for users, and nothing is promised about it.

use dbrewind_core::{Lsn, ObjectId, ReadError, Store};

use crate::Diff;
use crate::as_of;
use crate::checksum::{ByteOrder, Checksum};
use crate::file::Header;
use crate::kernel_locks;
use crate::notes::{RollbackAnchor, WalAnchor, WriterNote, tag};
use crate::rollback::RewindIntent;
use crate::wal::{FrameHeader, IndexHeader, IntentNote, RunNote, Runs, WalHeader};
use crate::writers::Told;

/// Hands the bytes after the first to the decoder that the first one chooses. Panics if they are handled wrongly.
pub fn decoders(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    match which % 7 {
        0 => notes(bytes),
        1 => runs(bytes),
        2 => wal_header(bytes),
        3 => {
            if let Some(frame) = FrameHeader::decode(bytes) {
                let image = bytes.get(FrameHeader::LEN..).unwrap_or_default();
                let order = if frame.page & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
                let before = Checksum(frame.page, frame.commit);
                let mut out = Vec::new();
                let place = (frame.page, frame.commit);
                let sum = FrameHeader::append_frame(&mut out, order, before, frame.salt, place, image);
                assert_eq!(FrameHeader::checksum_of(order, before, &out), sum);
                assert_eq!(FrameHeader::decode(&out), Some(FrameHeader { checksum: sum, ..frame }));
            }
        }
        4 => {
            if let Some(header) = Header::parse(bytes) {
                assert!(header.page_size.is_power_of_two() && (512..=65536).contains(&header.page_size));
                let mut page = bytes.to_vec();
                Header::publish(&mut page, [2, 1], 7, 9);
                assert!(Header::parse(&page).is_some_and(|found| (found.counter, found.cookie) == (7, 9)));
            }
        }
        5 => IndexHeader::fuzz(bytes),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            kernel_locks::fuzz(&text);
        }
    }
}

/// What differs between two databases of pages of 512 bytes, as `diff` finds it; with `known`, as if the log told which pages differ. `None`
/// if they are refused. Panics if that takes more than a few looks at each page, or what is equal differs.
#[must_use]
pub fn differences(old: &[u8], new: &[u8], known: bool) -> Option<Diff> {
    as_of::compare(old, new, known)
}

/// Reads a record of SQLite's. Panics if its first values are others when fewer of them are asked for.
pub fn record(bytes: &[u8], encoding: u32) {
    as_of::record(bytes, encoding);
}

/// What a NOTE's body says, in words: a golden store compares it. `None` if it does not decode.
#[must_use]
pub fn describe_note(tag: u64, body: &[u8]) -> Option<String> {
    match tag {
        tag::RUN => RunNote::decode(body).map(|note| format!("{note:?}")),
        tag::ANCHOR => WalAnchor::decode(body).map(|note| format!("{note:?}")),
        tag::WAL_INTENT => IntentNote::decode(body).map(|note| format!("{note:?}")),
        tag::ROLLBACK_INTENT => RewindIntent::decode(body).map(|note| format!("{note:?}")),
        tag::SAME_COUNTER => {
            body.try_into().ok().map(|counter| format!("same counter {}", u32::from_le_bytes(counter)))
        }
        tag::WRITER => WriterNote::decode(body).map(|note| format!("{note:?}")),
        _ => None,
    }
}

/// Commits of one thread, as the records say it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitsOf {
    /// The process.
    pub pid: u32,
    /// Its thread.
    pub thread: u32,
    /// What the process runs; `None`: no record says it.
    pub program: Option<String>,
    /// How many.
    pub commits: u64,
}

/// Whose all the commits of an object are, whatever was rewound since; who committed last comes first.
///
/// # Errors
/// When the log cannot be read.
pub fn committed_by(store: &Store, object: ObjectId) -> Result<Vec<CommitsOf>, ReadError> {
    let all = Lsn::ORIGIN..=Lsn::new(u64::MAX);
    let mut told = Told::default();
    told.catch_up(store, object, Lsn::ORIGIN, None)?;
    let found = told.of(std::slice::from_ref(&all)).into_iter();
    let commits = found.map(|one| CommitsOf {
        pid: one.pid,
        thread: one.thread,
        program: one.note.map(|note| note.program.clone()),
        commits: one.commits,
    });
    Ok(commits.collect())
}

fn notes(bytes: &[u8]) {
    if let Some(note) = RunNote::decode(bytes) {
        assert_eq!(note.encode(), bytes);
        assert_ne!(note.stamp(3), 0);
    }
    if let Some(note) = WalAnchor::decode(bytes) {
        assert_eq!(note.encode(), bytes);
    }
    if let Some(note) = RollbackAnchor::decode(bytes) {
        assert_eq!(RollbackAnchor::decode(&note.encode()), Some(note));
    }
    if let Some(note) = WriterNote::decode(bytes) {
        assert_eq!(note.encode(), bytes);
    }
    if let Some(note) = IntentNote::decode(bytes) {
        assert_eq!(note.encode(), bytes);
    }
    if let Some(note) = RewindIntent::decode(bytes) {
        assert_eq!(note.encode(), bytes);
    }
}

/// Runs as a store may hold them, in any order and with any numbers.
fn runs(bytes: &[u8]) {
    let mut runs = Runs::default();
    let (chunks, rest) = bytes.as_chunks::<13>();
    for &[salt, a, b, c, d, lsn @ ..] in chunks {
        let frame = u32::from_le_bytes([a, b, c, d]);
        let note = RunNote { frame, salt: [salt; 8], checksum: Checksum(0, 0), sequence: 0, back_filled: 0 };
        runs.push(Lsn::new(u64::from_le_bytes(lsn)), &note);
    }
    let mut questions: Vec<u32> = vec![0, 1, runs.first_frame(), u32::MAX];
    questions.extend(rest.iter().map(|byte| u32::from(*byte)));
    for frame in questions {
        if let Some(lsn) = runs.lsn_of(frame)
            && let Some(found) = runs.frame_of(lsn, u32::MAX)
        {
            // Of two runs with the same LSNs the newer one answers.
            assert!(runs.lsn_of(found).is_some());
        }
        for lsn in runs.starts().collect::<Vec<_>>() {
            let _ = runs.frame_of(lsn, frame);
        }
        let _ = (runs.frame_of(Lsn::new(u64::MAX), frame), runs.frame_of(Lsn::ORIGIN, frame));
    }
}

fn wal_header(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<{ WalHeader::LEN }>() else { return };
    if let Some((header, checksum)) = WalHeader::decode(bytes) {
        assert_eq!(header.encode(), (*bytes, checksum));
    }
    // The same with a right checksum, in both byte orders.
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let number =
            |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|b| u32::from_be_bytes(*b));
        let (Some(page_size), Some(sequence)) = (number(8), number(12)) else { return };
        let Some(salt) = bytes.get(16..).and_then(|rest| rest.first_chunk()).copied() else { return };
        let header = WalHeader { order, page_size, sequence, salt };
        let (encoded, checksum) = header.encode();
        assert_eq!(WalHeader::decode(&encoded), Some((header, checksum)));
    }
}
