//! What the store's calls cost, beside a `memcpy` into memory mapped the same way.
//!
//! `cargo bench -p dbrewind-core`; prints nanoseconds a call, best and median of some rounds.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_core::{Cursor, Head, Key, Kind, Lsn, ObjectId, Store, StoreOptions};

const ROUNDS: usize = 15;

fn report(what: &str, mut nanos: Vec<f64>) {
    nanos.sort_by(f64::total_cmp);
    println!("{what:<44} {:>10.1} best {:>10.1} median", nanos[0], nanos[nanos.len() / 2]);
}

fn each(elapsed: Duration, calls: usize) -> f64 {
    elapsed.as_nanos() as f64 / calls as f64
}

fn head(kind: Kind, i: usize) -> Head {
    Head { kind, flags: 0, object: ObjectId::new(0), key: Key::new(i as u64), lsn: Lsn::new(i as u64) }
}

fn fresh(folder: &Path) -> Store {
    let _ = std::fs::remove_dir_all(folder);
    Store::open(folder, &StoreOptions::default()).unwrap()
}

fn fill(store: &Store, records: usize, body: &[u8]) {
    for i in 0..records {
        store.append(head(Kind::After, i), &[body]).unwrap();
    }
}

/// Into pages that the store's thread has made present meanwhile: what an append costs by itself.
fn append_present(folder: &Path, what: &str, calls: usize, parts: &[&[u8]]) {
    let rounds = (0..ROUNDS).map(|_| {
        let store = fresh(folder);
        fill(&store, 12_000, &[1; 100]);
        std::thread::sleep(Duration::from_millis(60));
        let start = Instant::now();
        for i in 0..calls {
            black_box(store.append(head(Kind::After, i), parts).unwrap());
        }
        each(start.elapsed(), calls)
    });
    report(what, rounds.collect());
}

fn append(folder: &Path, what: &str, calls: usize, parts: &[&[u8]]) {
    let rounds = (0..ROUNDS).map(|_| {
        let store = fresh(folder);
        let start = Instant::now();
        for i in 0..calls {
            black_box(store.append(head(Kind::After, i), parts).unwrap());
        }
        each(start.elapsed(), calls)
    });
    report(what, rounds.collect());
}

/// The floor: the same bytes copied one after the other into a file mapped and pre-allocated likewise.
fn copy(folder: &Path, what: &str, calls: usize, body: &[u8], present: bool) {
    let rounds = (0..ROUNDS).map(|_| {
        drop(fresh(folder));
        let store = folder.join("0000000000000001.seg");
        let file = std::fs::OpenOptions::new().read(true).write(true).open(store).unwrap();
        let map = memmap2::MmapOptions::new().len(4 << 20).map_raw(&file).unwrap();
        if present {
            map.advise(memmap2::Advice::PopulateWrite).unwrap();
        }
        let start = Instant::now();
        for i in 0..calls {
            copy_into(&map, i * (body.len() + 40), black_box(body));
        }
        each(start.elapsed(), calls)
    });
    report(what, rounds.collect());
}

#[expect(unsafe_code, reason = "a copy into mapped memory, to compare with")]
fn copy_into(map: &memmap2::MmapRaw, at: usize, body: &[u8]) {
    assert!(at + body.len() <= map.len());
    // SAFETY: checked to be inside of the mapping, which nobody else uses.
    unsafe { map.as_mut_ptr().add(at).copy_from_nonoverlapping(body.as_ptr(), body.len()) };
}

fn main() {
    let dir = tempfile::tempdir_in(std::env::var_os("BENCH_FOLDER").unwrap_or_else(|| ".".into())).unwrap();
    let folder = dir.path().join("store");

    report(
        "open, new store (us)",
        (0..ROUNDS)
            .map(|_| {
                let _ = std::fs::remove_dir_all(&folder);
                let start = Instant::now();
                let store = Store::open(&folder, &StoreOptions::default()).unwrap();
                let elapsed = start.elapsed();
                drop(store);
                elapsed.as_nanos() as f64 / 1000.0
            })
            .collect(),
    );
    let store = fresh(&folder);
    fill(&store, 500, &[1; 4096]);
    drop(store);
    report(
        "open, 500 pages in it (us)",
        (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                let store = Store::open(&folder, &StoreOptions::default()).unwrap();
                let elapsed = start.elapsed();
                drop(store);
                elapsed.as_nanos() as f64 / 1000.0
            })
            .collect(),
    );

    append_present(&folder, "append 100 B, pages present", 10_000, &[&[1; 100]]);
    append_present(&folder, "append 16 + 20 B (a mark), pages present", 10_000, &[&[1; 16], &[2; 20]]);
    append_present(&folder, "append 4 KiB, pages present", 400, &[&[1; 4096]]);
    report(
        "hash   4 KiB, by itself",
        (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..1000 {
                    black_box(xxhash_rust::xxh3::xxh3_64(black_box(&[1; 4096])));
                }
                each(start.elapsed(), 1000)
            })
            .collect(),
    );
    copy(&folder, "copy   4 KiB, pages present", 400, &[1; 4096], true);
    append(&folder, "append 100 B, 20,000 in a new store", 20_000, &[&[1; 100]]);
    append(&folder, "append 100 B, 1,000,000 in a new store", 1_000_000, &[&[1; 100]]);
    append(&folder, "append 16 + 20 B (a mark), 20,000", 20_000, &[&[1; 16], &[2; 20]]);
    append(&folder, "append 4 KiB, 900 in a new store", 900, &[&[1; 4096]]);
    copy(&folder, "copy   4 KiB, 900 in a new segment", 900, &[1; 4096], false);
    append(&folder, "append 4 KiB, 40,000 in a new store", 40_000, &[&[1; 4096]]);

    let store = fresh(&folder);
    fill(&store, 40_000, &[1; 4096]);
    report(
        "scan, a record (4 KiB, mapped)",
        (0..ROUNDS)
            .map(|_| {
                let mut seen = 0;
                let start = Instant::now();
                store.scan(&mut Cursor::default(), &mut |_, _, _| seen += 1).unwrap();
                each(start.elapsed(), seen)
            })
            .collect(),
    );
    let mut places = Vec::new();
    store.scan(&mut Cursor::default(), &mut |_, at, _| places.push(at)).unwrap();
    let mut buffer = Vec::new();
    report(
        "read 4 KiB, checked",
        (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for at in &places {
                    store.read_into(*at, &mut buffer).unwrap();
                }
                each(start.elapsed(), places.len())
            })
            .collect(),
    );
    let object = ObjectId::new(0);
    report(
        "lock_object and drop",
        (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..1000 {
                    drop(store.lock_object(object, Duration::ZERO).unwrap());
                }
                each(start.elapsed(), 1000)
            })
            .collect(),
    );
    let _ = store.sync();
    report(
        "append 100 B and sync (us)",
        (0..ROUNDS)
            .map(|i| {
                let start = Instant::now();
                store.append(head(Kind::After, i), &[&[1; 100]]).unwrap();
                store.sync().unwrap();
                each(start.elapsed(), 1000)
            })
            .collect(),
    );
}
