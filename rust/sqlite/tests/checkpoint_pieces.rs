//! A mark that stays hot while much below it is brought into the database file: in pieces, between which a rewind gets its turn.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dbrewind_sqlite::MarkState;
use support::wal::{WalWorld, insert, to, unsynced};

/// Frames that are in the database file, as the wal-index says. Read by another process: closing that file in this one would drop locks.
fn back_filled(database: &Path) -> u32 {
    let index = Command::new("cat").arg(beside(database, "-shm")).output().unwrap().stdout;
    u32::from_ne_bytes(index[96..100].try_into().unwrap())
}

fn beside(database: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The frames that end a transaction.
fn commits(database: &Path) -> Vec<u32> {
    let wal = Command::new("cat").arg(beside(database, "-wal")).output().unwrap().stdout;
    let page = u32::from_be_bytes(wal[8..12].try_into().unwrap()) as usize;
    let frames = wal[32..].chunks_exact(24 + page).zip(1_u32..);
    frames.filter(|(frame, _)| frame[4..8] != [0; 4]).map(|(_, number)| number).collect()
}

#[test]
fn much_below_a_hot_mark_is_brought_into_the_file_in_pieces() {
    let world = WalWorld::with(unsynced());
    let app = world.connect();
    let db = world.record();
    for _ in 0..40 {
        app.execute("insert into t(x) values(randomblob(1000000))", []).unwrap();
    }
    db.mark("m").unwrap();
    insert(&app, "later");
    let path = world.path();
    let ends = commits(&path);
    let goal = ends[ends.len() - 2];
    let mut seen = vec![0];
    for _ in 0..30_000 {
        let now = back_filled(&path);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        if now >= goal {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(seen.last(), Some(&goal), "{seen:?}");
    assert!(seen.len() > 3, "all at once: {seen:?}");
    assert!(seen[1..].iter().all(|frame| ends.contains(frame)), "in the midst of a transaction: {seen:?}");
    assert_eq!(db.marks().unwrap()[0].state, MarkState::Hot);
    db.rewind(&to("m"), None).unwrap();
    let count: u32 =
        app.query_row("select count(*) from t where length(x) = 1000000", [], |row| row.get(0)).unwrap();
    let all: u32 = app.query_row("select count(*) from t", [], |row| row.get(0)).unwrap();
    assert_eq!((count, all), (40, 40));
}
