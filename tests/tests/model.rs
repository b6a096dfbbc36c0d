//! Random work, marks and rewinds against a model. `DBREWIND_SEED` and `DBREWIND_WORLDS` replay a failure,
//! `DBREWIND_ROUNDS` makes it longer.

use std::path::Path;

use dbrewind_testkit::{model, seed};

/// Rounds in each world: long enough for chains of rewinds, short enough to be replayed.
const ROUNDS: u64 = 50;

fn worlds(own: u64, rounds: u64, wal: bool) {
    let binary = Path::new(env!("CARGO_BIN_EXE_crash"));
    let base = seed::base(own);
    let replay = std::env::var_os("DBREWIND_WORLDS").is_some();
    let worlds = if replay { 1 } else { seed::rounds(rounds) / ROUNDS };
    for world in 0..worlds {
        model::run(base + world, wal, ROUNDS, binary);
    }
}

#[test]
fn wal_worlds() {
    worlds(0x5741_4c00_0000, 1250, true);
}

#[test]
fn rollback_worlds() {
    worlds(0x524f_4c4c_0000, 1000, false);
}
