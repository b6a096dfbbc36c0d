//! A short kill campaign; `make crash` runs the long one.

use std::path::Path;

use dbrewind_testkit::kill::{Options, run};
use dbrewind_testkit::seed;

fn campaign(own: u64, kills: u64, journal: Option<&str>) {
    let summary = run(&Options {
        kills: seed::rounds(kills),
        seed: seed::base(own),
        binary: Path::new(env!("CARGO_BIN_EXE_crash")).to_owned(),
        journal: journal.map(str::to_owned),
        faults: None,
        verbose: false,
    });
    eprintln!("{summary:#?}");
    assert!(summary.rewinds > 0, "nothing was compared");
}

#[test]
fn killed_in_wal_mode() {
    campaign(0x6b57, 32, Some("wal"));
}

#[test]
fn killed_in_rollback_modes() {
    campaign(0x6b52, 32, Some("delete"));
}
