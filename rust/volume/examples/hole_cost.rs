//! What it costs to write over a hole: blocks of zeros, of which each is a record without a body.
//!
//! ```text
//! cargo run --release -p dbrewind-volume --example hole_cost -- [MILLIONS OF BLOCKS]
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to look at")]

use std::io;
use std::time::{Duration, Instant};

use dbrewind_volume::{AttachOptions, Medium, Storage, StoreSettings, Volume, VolumeStore};

const BLOCK: u64 = 4096;

/// Nothing but zeros, which cost nothing to read.
struct Hole(u64);

impl Storage for Hole {
    fn lock(&self, _: Duration) -> io::Result<bool> {
        Ok(true)
    }
    fn unlock(&self) {}
}

impl Medium for Hole {
    fn read(&self, _: u64, to: &mut [u8]) -> io::Result<()> {
        to.fill(0);
        Ok(())
    }
    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn size(&self) -> io::Result<u64> {
        Ok(self.0)
    }
}

fn main() {
    let millions = std::env::args().nth(1).map_or(4, |words| words.parse().unwrap());
    let blocks: u64 = millions * 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let store = VolumeStore::open(folder.path(), &StoreSettings::default()).unwrap();
    let volume =
        Volume::attach(&store, "hole", BLOCK as u32, Hole(blocks * BLOCK), &AttachOptions::anew()).unwrap();
    volume.mark("m").unwrap();
    let before = volume.status().unwrap();
    let started = Instant::now();
    volume.enter().unwrap();
    for block in (0..blocks).step_by(1000) {
        volume.will_write(block * BLOCK, 1000 * BLOCK).unwrap();
    }
    volume.commit().unwrap();
    let saved = started.elapsed();
    let after = volume.status().unwrap();
    let started = Instant::now();
    volume.rewind("m").unwrap();
    let rewound = started.elapsed();
    let each = |took: Duration| took.as_nanos() as f64 / blocks as f64;
    println!(
        "{millions} million blocks of 4 KiB, {:.1} GiB of zeros",
        (blocks * BLOCK) as f64 / f64::from(1 << 30)
    );
    println!("saved:    {:.2} s, {:.0} ns a block", saved.as_secs_f64(), each(saved));
    println!("rewound:  {:.2} s, {:.0} ns a block", rewound.as_secs_f64(), each(rewound));
    println!("segments: {:.1} MiB before, {:.1} MiB after", mib(before.used), mib(after.used));
    let (mut raw, mut still) = (0, 0);
    // The thread that seals is done when nothing has changed for so long.
    while still < 20 {
        let status = volume.status().unwrap();
        still = if status.raw == raw { still + 1 } else { 0 };
        raw = status.raw;
        std::thread::sleep(Duration::from_millis(500));
    }
    let status = volume.status().unwrap();
    println!("sealed:   {} bytes, and {:.1} MiB not sealed", status.sealed, mib(status.raw));
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
