//! How long a large store takes to open: `open_cost FOLDER [--record STEM] [SEGMENTS [RECORDS]]`.
//!
//! Makes a store of so many segments of 256 MiB (80: 20 GiB), sparse ones with nothing in them but their end, and so many records of 4 KiB
//! in the last one; then opens it, again and again: as it was left, and after a sync of everything in it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that cannot go on fails")]

#[path = "support/recorded.rs"]
mod recorded;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dbrewind_core::fuzzing::{Forged, forge_segment_header, forge_word};
use dbrewind_core::{Head, Key, Kind, Lsn, ObjectId, Store, StoreOptions};
use recorded::{Recorded, take_option};

const SIZE: u32 = 256 << 20;
const HEADER: u32 = 64;
const OPTIONS: StoreOptions =
    StoreOptions { first_segment: SIZE as u64, max_segment: SIZE as u64, limit: 1 << 40 };

/// A segment that the log has left without a record in it.
fn closed(folder: &Path, id: u32) {
    let file = File::create(folder.join(format!("{id:016x}.seg"))).unwrap();
    file.set_len(u64::from(SIZE)).unwrap();
    file.write_all_at(&forge_segment_header([7; 16], u64::from(id), u64::from(SIZE)), 0).unwrap();
    let end = forge_word(id, HEADER, Forged::Committed, SIZE - HEADER - 40);
    file.write_all_at(&end, u64::from(HEADER)).unwrap();
    file.write_all_at(&[255], u64::from(HEADER) + 8).unwrap();
}

fn report(out: &mut Recorded, what: &str, folder: &Path) {
    let mut millis: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            let store = Store::open(folder, &OPTIONS).unwrap();
            let elapsed = start.elapsed();
            drop(store);
            elapsed.as_secs_f64() * 1e3
        })
        .collect();
    for value in &millis {
        out.sample(&format!("{what}, ms"), *value);
    }
    let first = millis[0];
    millis.sort_by(f64::total_cmp);
    out.line(&format!("| {what} | {first:.2} | {:.2} | {:.2} | {:.2} |", millis[0], millis[7], millis[14]));
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let stem = take_option(&mut arguments, "--record");
    let mut arguments = arguments.into_iter();
    let folder = PathBuf::from(arguments.next().unwrap());
    let segments: u32 = arguments.next().map_or(80, |count| count.parse().unwrap());
    let records: u64 = arguments.next().map_or(60_000, |count| count.parse().unwrap());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for id in 1..=segments {
        closed(&folder, id);
    }
    let mut out = Recorded::new("Opening a large store", stem);
    let store = Store::open(&folder, &OPTIONS).unwrap();
    for lsn in 1..=records {
        let head = Head::new(Kind::After, ObjectId::new(0), Key::new(lsn % 5000), Lsn::new(lsn));
        store.append(head, &[&[7; 4096]]).unwrap();
    }
    out.line(&format!(
        "{} bytes in {} segments of {} MiB, sparse ones but for the last, which has {records} records of 4 KiB. Nothing is sealed: \
         a sealed segment is opened by its header, too.\n",
        store.room().used,
        segments + 1,
        SIZE >> 20
    ));
    drop(store);
    out.line("| ms | first | best | median of 15 | worst |\n|---|---|---|---|---|");
    report(&mut out, "open, as it was left", &folder);
    Store::open(&folder, &OPTIONS).unwrap().sync().unwrap();
    report(&mut out, "open, once everything was synced", &folder);
    out.keep().unwrap();
}
