//! Power cuts, a few; `make crash` makes thousands.

use std::path::Path;

use dbrewind_testkit::cut::{Options, run};
use dbrewind_testkit::seed;

/// How many campaigns of this length may pass without a mark that was kept: few cuts leave one.
const MOST: u64 = 6;

fn campaign(own: u64, journal: &str) {
    let compared = (0..MOST).any(|more| {
        let summary = run(&Options {
            cuts: seed::rounds(120),
            each: 15,
            seed: seed::base(own).wrapping_add(more),
            binary: Path::new(env!("CARGO_BIN_EXE_crash")).to_owned(),
            journal: Some(journal.to_owned()),
            limit: None,
            verbose: false,
        });
        eprintln!("{summary:#?}");
        summary.rewinds > 0
    });
    assert!(compared, "nothing was compared");
}

/// `least`: so many marks must have been compared with what they named, in [`MOST`] campaigns at most.
fn evictions(own: u64, journal: &str, least: u64) {
    let (mut compared, mut evicted) = (0, 0);
    for more in 0..MOST {
        let summary = run(&Options {
            cuts: seed::rounds(60),
            each: 20,
            seed: seed::base(own).wrapping_add(more),
            binary: Path::new(env!("CARGO_BIN_EXE_crash")).to_owned(),
            journal: Some(journal.to_owned()),
            limit: Some(4 << 20),
            verbose: false,
        });
        eprintln!("{summary:#?}");
        assert!(summary.rewinds + summary.lost > 0, "nothing was listed");
        compared += summary.rewinds;
        evicted += summary.in_eviction;
        if compared >= least && evicted > 0 {
            break;
        }
    }
    assert!(compared >= least, "only {compared} marks were compared");
    assert!(evicted > 0, "nothing was evicted");
}

#[test]
fn the_power_goes_while_the_beginning_is_evicted_in_wal_mode() {
    // Who records has a frame in the WAL that is not back-filled: after a cut then no mark is certain (recovery.md). Safety alone.
    evictions(0x4557, "wal", 0);
}

#[test]
fn the_power_goes_while_the_beginning_is_evicted_in_delete_mode() {
    evictions(0x4544, "delete", 10);
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
