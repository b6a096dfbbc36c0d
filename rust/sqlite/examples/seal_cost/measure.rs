//! What sealing makes of the frames of a WAL.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Instant;

use dbrewind_core::{
    CommitBody, Cursor, Engine, EraBody, Extent, Head, Key, Kind, Location, Lsn, ObjectId, Store,
    StoreOptions, Timestamp,
};

/// Bytes, counts and times.
pub(crate) struct Measured {
    pub(crate) pages: u64,
    pub(crate) commits: u64,
    /// Different pages.
    pub(crate) distinct: u64,
    /// Bytes of pages.
    pub(crate) raw: u64,
    /// Bytes of the sealed files.
    pub(crate) sealed: u64,
    /// Of these: bodies, indexes, digests, the rest.
    pub(crate) parts: [u64; 4],
    /// Bytes of the newest image of each page, packed in frames as sealed files have them.
    pub(crate) newest: u64,
    /// The same as one frame of level 19.
    pub(crate) newest_at_best: u64,
    /// Seconds that sealing took.
    pub(crate) seconds: f64,
    /// Microseconds to read a version of each page, in the order of pages: before sealing, after it when the indexes had to be read, and
    /// when they had been.
    pub(crate) reading: [f64; 3],
}

impl Measured {
    pub(crate) fn ratio(&self) -> f64 {
        self.raw as f64 / self.sealed as f64
    }

    /// KiB a transaction, of so many bytes.
    pub(crate) fn each(&self, bytes: u64) -> f64 {
        bytes as f64 / self.commits as f64 / 1024.0
    }

    pub(crate) fn megabytes_a_second(&self) -> f64 {
        self.raw as f64 / 1e6 / self.seconds
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

struct Frames {
    pages: u64,
    commits: u64,
    page_size: usize,
}

/// Records the frames of a WAL as the adapter does.
fn record(store: &Store, object: ObjectId, wal: &Path) -> Frames {
    let mut wal = BufReader::with_capacity(1 << 20, File::open(wal).unwrap());
    let mut first = [0; 32];
    wal.read_exact(&mut first).unwrap();
    let page_size = u32_at(&first, 8) as usize;
    let head = |kind, key, lsn| Head { kind, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn) };
    let era = EraBody { time: Timestamp::new(1), extent: Extent::new(1), broken: false };
    store.append(head(Kind::Era, Engine::Wal.key().get(), 1), &[&era.encode()]).unwrap();
    let (mut pages, mut commits) = (0, 0);
    let mut frame = vec![0; 24 + page_size];
    while wal.read_exact(&mut frame).is_ok() && frame[8..16] == first[16..24] {
        pages += 1;
        store.append(head(Kind::After, u64::from(u32_at(&frame, 0)), pages + 1), &[&frame[24..]]).unwrap();
        let extent = u64::from(u32_at(&frame, 4));
        if extent > 0 {
            commits += 1;
            let time = Timestamp::new(1_763_800_000_000_000_000 + commits * 1_834_567);
            let body = CommitBody { time, extent: Extent::new(extent) };
            store.append(head(Kind::Commit, 0, pages + 1), &[&body.encode()]).unwrap();
        }
    }
    Frames { pages, commits, page_size }
}

/// Microseconds to read each of these records, in this order.
fn read(store: &Store, places: &[Location]) -> f64 {
    let mut body = Vec::new();
    let start = Instant::now();
    for at in places {
        store.read_into(*at, &mut body).unwrap();
    }
    start.elapsed().as_secs_f64() * 1e6 / places.len() as f64
}

/// Bytes of a sealed file: bodies, index, digest, and the rest.
fn parts(file: &[u8]) -> [u64; 4] {
    let mut sums = [0; 4];
    let mut rest = file;
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (part, len) = match word(0) {
            0x184D_2A51 => (1, 8 + word(4) as usize),
            0x184D_2A52 => (2, 8 + word(4) as usize),
            0x184D_2A50..0x184D_2A60 => (3, 8 + word(4) as usize),
            _ => (0, zstd_safe::find_frame_compressed_size(rest).unwrap()),
        };
        sums[part] += len as u64;
        rest = &rest[len..];
    }
    sums
}

fn packed(bytes: &[u8], level: i32) -> u64 {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut out, bytes, level).unwrap() as u64
}

/// Records what a WAL has into a store in a folder of its own, seals it, and reads it.
pub(crate) fn measure(wal: &Path, folder: &Path) -> Measured {
    let _ = std::fs::remove_dir_all(folder);
    let store = Store::open(folder, &StoreOptions::default()).unwrap();
    let object = store.object(".", 4096).unwrap();
    let recorded = record(&store, object, wal);
    // Whatever is in the last segment is left out: it is made closed by a record that does not fit.
    store
        .append(
            Head { kind: Kind::Note, flags: 0, object, key: Key::new(9), lsn: Lsn::new(1) },
            &[&vec![0; 200 << 20]],
        )
        .unwrap();
    let mut images = Vec::new();
    store
        .scan(&mut Cursor::default(), &mut |head, at, _| {
            if head.kind == Kind::After {
                images.push((head.key, at));
            }
        })
        .unwrap();
    let mut seed = 7_u64;
    images.sort_by_key(|(key, at)| (*key, *at));
    let one_each: Vec<Location> = images
        .chunk_by(|a, b| a.0 == b.0)
        .map(|versions| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            versions[(seed >> 33) as usize % versions.len()].1
        })
        .collect();
    let best = |store: &Store| (0..9).map(|_| read(store, &one_each)).fold(f64::MAX, f64::min);
    let before = best(&store);
    let newest: Vec<Vec<u8>> = images
        .chunk_by(|a, b| a.0 == b.0)
        .map(|versions| store.read(versions[versions.len() - 1].1).unwrap().body)
        .collect();
    let framed: u64 =
        newest.chunks((8192 / recorded.page_size).max(1)).map(|frame| packed(&frame.concat(), 3)).sum();
    let at_best = packed(&newest.concat(), 19);
    let mut seconds = 0.0;
    loop {
        let start = Instant::now();
        let done = store.seal_some().unwrap();
        if done.is_none() {
            break;
        }
        seconds += start.elapsed().as_secs_f64();
    }
    let mut sums = [0; 4];
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|name| name == "zst") {
            sums.iter_mut().zip(parts(&std::fs::read(path).unwrap())).for_each(|(sum, part)| *sum += part);
        }
    }
    let first = read(&store, &one_each);
    Measured {
        pages: recorded.pages,
        commits: recorded.commits,
        distinct: one_each.len() as u64,
        raw: recorded.pages * recorded.page_size as u64,
        sealed: sums.iter().sum(),
        parts: sums,
        newest: framed,
        newest_at_best: at_best,
        seconds,
        reading: [before, first, best(&store)],
    }
}
