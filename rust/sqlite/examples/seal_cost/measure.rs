//! What sealing makes of recorded pages: `seal_cost FOLDER WAL-FILE [TRANSACTIONS]`.
//!
//! Records the frames of an SQLite WAL as the adapter does, seals them, and reads: bytes a transaction, the ratio to raw
//! pages, how fast; then one version of each page, in page order, from the segments as they were and sealed. And where the bytes are: what
//! the newest image of each page alone takes, in frames as sealed files have them, and as one frame of level 19.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that cannot go on fails")]

use std::path::PathBuf;
use std::time::Instant;

use dbrewind_core::{
    CommitBody, Cursor, Engine, EraBody, Extent, Head, Key, Kind, Location, Lsn, ObjectId, Store,
    StoreOptions, Timestamp,
};

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

struct Recorded {
    pages: u64,
    commits: u64,
    page_size: usize,
}

fn record(store: &Store, object: ObjectId, wal: &[u8], most: u64) -> Recorded {
    let page_size = u32_at(wal, 8) as usize;
    let head = |kind, key, lsn| Head { kind, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn) };
    let era = EraBody { time: Timestamp::new(1), extent: Extent::new(1), broken: false };
    store.append(head(Kind::Era, Engine::Wal.key().get(), 1), &[&era.encode()]).unwrap();
    let (mut pages, mut commits) = (0, 0);
    for frame in wal[32..].chunks_exact(24 + page_size) {
        if frame[8..16] != wal[16..24] || commits == most {
            break;
        }
        pages += 1;
        store.append(head(Kind::After, u64::from(u32_at(frame, 0)), pages + 1), &[&frame[24..]]).unwrap();
        let extent = u64::from(u32_at(frame, 4));
        if extent > 0 {
            commits += 1;
            let time = Timestamp::new(1_763_800_000_000_000_000 + commits * 1_834_567);
            let body = CommitBody { time, extent: Extent::new(extent) };
            store.append(head(Kind::Commit, 0, pages + 1), &[&body.encode()]).unwrap();
        }
    }
    Recorded { pages, commits, page_size }
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

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap());
    let wal = std::fs::read(arguments.next().unwrap()).unwrap();
    let most = arguments.next().map_or(u64::MAX, |most| most.parse().unwrap());
    let _ = std::fs::remove_dir_all(&folder);
    let store = Store::open(&folder, &StoreOptions::default()).unwrap();
    let object = store.object(".", 4096).unwrap();
    let recorded = record(&store, object, &wal, most);
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
    let (mut used, mut seconds) = (0, 0.0);
    loop {
        let start = Instant::now();
        let Some(done) = store.seal_some().unwrap() else { break };
        seconds += start.elapsed().as_secs_f64();
        used += done.before;
    }
    let mut sizes: Vec<(String, u64)> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap())
        .filter(|file| file.path().extension().is_some_and(|name| name == "zst"))
        .map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().len()))
        .collect();
    sizes.sort();
    let sealed: u64 = sizes.iter().map(|(_, len)| len).sum();
    println!("sealed files: {:?}", sizes.iter().map(|(_, len)| len).collect::<Vec<_>>());
    let mut sums = [0; 4];
    for (name, _) in &sizes {
        let found = parts(&std::fs::read(folder.join(name)).unwrap());
        sums.iter_mut().zip(found).for_each(|(sum, part)| *sum += part);
    }
    let [bodies, index, digest, rest] = sums.map(|sum| sum as f64 / recorded.commits as f64 / 1024.0);
    println!(
        "KiB a transaction: bodies {bodies:.2}, indexes {index:.2}, digests {digest:.2}, the rest {rest:.2}; the newest image of each page alone \
         {:.2}, as one frame of level 19 {:.2}",
        framed as f64 / recorded.commits as f64 / 1024.0,
        at_best as f64 / recorded.commits as f64 / 1024.0,
    );
    let raw = recorded.pages * recorded.page_size as u64;
    let first = read(&store, &one_each);
    let after = best(&store);
    println!(
        "{} pages in {} transactions, {} distinct: {raw} bytes of pages, {used} in segments, {sealed} sealed; ratio {:.2}, \
         {:.2} KiB a transaction, {:.0} MB/s; reading a version of each: raw {before:.2} us a page, sealed {after:.2}, \
         with the indexes not loaded {first:.2}",
        recorded.pages,
        recorded.commits,
        one_each.len(),
        raw as f64 / sealed as f64,
        sealed as f64 / recorded.commits as f64 / 1024.0,
        raw as f64 / 1e6 / seconds,
    );
}
