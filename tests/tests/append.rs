//! Kills of processes that append to one store at once, a few; `make crash` makes a thousand.

use std::path::Path;

use dbrewind_testkit::append::{Options, run};
use dbrewind_testkit::seed;

#[test]
fn hazard_four_writers_killed_while_they_append() {
    let summary = run(&Options {
        kills: seed::rounds(60),
        seed: seed::base(0x6170_7064),
        binary: Path::new(env!("CARGO_BIN_EXE_crash")).to_owned(),
        apart: false,
        verbose: false,
    });
    eprintln!("{}", summary.lines().join("\n"));
    assert!(summary.told > 0 && summary.records >= summary.told, "{summary:?}");
}
