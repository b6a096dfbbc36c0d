//! Lives that end at the boundary between two steps, at each named one in turn (`rust/sqlite/src/fault.rs`).
#![cfg(feature = "fault")]

use std::path::Path;

use dbrewind_testkit::kill::{Options, Summary, run};
use dbrewind_testkit::seed;

fn campaign(own: u64, journal: &str) -> Summary {
    let summary = run(&Options {
        kills: seed::rounds(70),
        seed: seed::base(own),
        binary: Path::new(env!("CARGO_BIN_EXE_crash")).to_owned(),
        journal: Some(journal.to_owned()),
        faults: Some(6),
        verbose: false,
    });
    eprintln!("{summary:#?}");
    summary
}

fn ended_at(summary: &Summary, place: &str) {
    assert!(summary.faults.get(place).is_some_and(|count| *count > 0), "no life ended at {place:?}");
}

/// A frame and a header that disagree: every boundary of the O(1) rewind must have ended a life.
#[test]
fn kill_mid_wal_rewind() {
    let summary = campaign(0x6657, "wal");
    for step in
        ["intent", "room", "header invalid", "frame written", "frame entered", "published", "recorded"]
    {
        ended_at(&summary, &format!("wal rewind: {step}"));
    }
    ended_at(&summary, "wal: half of the frames");
}

/// Half a restored file: every boundary of the guarded rewind must have ended a life.
#[test]
fn kill_mid_restore() {
    let summary = campaign(0x6652, "truncate");
    for step in ["intent", "spare guard", "guard is hot", "one write in place", "guard removed"] {
        ended_at(&summary, &format!("rollback rewind: {step}"));
    }
}
