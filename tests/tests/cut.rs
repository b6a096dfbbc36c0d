//! Power cuts, a few; `make crash` makes thousands.

use std::path::Path;

use dbrewind_testkit::cut::{Options, Summary, run};
use dbrewind_testkit::seed;

/// Campaigns of this length, one after the other, until there was enough to compare: few cuts leave a mark.
const MOST: u64 = 8;
/// So many marks must have been there after cuts at rest, where none may be lost, and have been compared with what they named.
const LEAST: u64 = 10;

fn campaigns(own: u64, options: &Options, enough: impl Fn(&Summary) -> bool) {
    let mut sum = Summary::default();
    let compared = (0..MOST).any(|more| {
        let seed = seed::base(own).wrapping_add(more << 8);
        sum += run(&Options { seed, ..options.clone() });
        enough(&sum)
    });
    eprintln!("{sum:#?}");
    assert!(compared, "too little was compared: {sum:#?}");
}

fn options(cuts: u64, journal: &str, limit: Option<u64>) -> Options {
    Options {
        cuts: seed::rounds(cuts),
        each: 20,
        seed: 0,
        binary: Path::new(env!("CARGO_BIN_EXE_crash")).to_owned(),
        journal: Some(journal.to_owned()),
        limit,
        verbose: false,
    }
}

fn campaign(own: u64, journal: &str) {
    campaigns(own, &options(120, journal, None), |sum| sum.kept_at_rest >= LEAST);
}

/// Also marks of a database that rests while the beginning of the store that it shares is evicted.
fn evictions(own: u64, journal: &str) {
    campaigns(own, &options(60, journal, Some(4 << 20)), |sum| {
        sum.kept_at_rest >= LEAST && sum.in_eviction > sum.in_eviction_at_rest && sum.in_eviction_at_rest > 0
    });
}

#[test]
fn the_power_goes_while_the_beginning_is_evicted_in_wal_mode() {
    evictions(0x4557, "wal");
}

#[test]
fn the_power_goes_while_the_beginning_is_evicted_in_delete_mode() {
    evictions(0x4544, "delete");
}

#[test]
fn the_power_goes_while_the_beginning_is_evicted_in_truncate_mode() {
    evictions(0x4554, "truncate");
}

#[test]
fn the_power_goes_in_wal_mode() {
    campaign(0x6357, "wal");
}

#[test]
fn the_power_goes_in_delete_mode() {
    campaign(0x6344, "delete");
}

#[test]
fn the_power_goes_in_persist_mode() {
    campaign(0x6350, "persist");
}
