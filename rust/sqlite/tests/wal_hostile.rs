//! What plain programs, kills and full disks may do to a recording in WAL mode at its worst moments.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dbrewind_core::Code;
use dbrewind_sqlite::{MarkState, OpenOptions};
use rusqlite::Connection;
use support::child;
use support::wal::{WalWorld, insert, record, rows, to, unsynced};

/// A plain Python program, which gets the path as its first argument.
fn python(world: &WalWorld, program: &str) -> Child {
    Command::new("python3")
        .args(["-c", program])
        .arg(world.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// SQLite writes the second copy of the wal-index header first. A writer that dies between the two leaves the first
/// one as it was, and everybody waits for a recovery, which our lock on CKPT keeps out.
#[test]
fn a_writer_killed_between_the_header_copies_stops_nobody() {
    let world = WalWorld::with(unsynced());
    let app = world.connect();
    insert(&app, "seed");
    let _database = world.record();
    std::thread::sleep(Duration::from_millis(300));
    let program = r#"
import sqlite3, sys, os
with open(sys.argv[1] + "-shm", "r+b", buffering=0) as shm:
    shm.seek(48 + 8); word = shm.read(4)
    shm.seek(48 + 8); shm.write(bytes([word[0] ^ 1]) + word[1:])
os.execv(sys.executable, [sys.executable, "-c", """
import sqlite3, sys
# Who comes in the midst of the recovery waits for its end.
c = sqlite3.connect(sys.argv[1], timeout=10)
print(c.execute("select x from t").fetchall())
""", sys.argv[1]])
"#;
    let out = python(&world, program).wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "[('seed',)]");
}

#[test]
#[ignore = "run by a_wal_deleted_after_a_kill_is_noticed"]
fn child_commits_past_the_anchor() {
    let path = child::path();
    let app = Connection::open(&path).unwrap();
    insert(&app, "one");
    let database = record(&path, &unsynced());
    database.close().unwrap();
    // The anchor of the close says that everything is in the database file.
    let database = record(&path, &unsynced());
    database.mark("one").unwrap();
    insert(&app, "two");
    database.mark("two").unwrap();
    database.drain().unwrap();
    child::wait_for_the_kill();
}

/// A power cut may leave an empty WAL, and people delete it. Then commits are gone that we know of.
#[test]
fn a_wal_deleted_after_a_kill_is_noticed() {
    let world = WalWorld::with(unsynced());
    child::kill(child::start("child_commits_past_the_anchor", &world.path()));
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(world.dir.path().join(format!("app.db{end}")));
    }
    let app = world.connect();
    assert_eq!(rows(&app), ["one"]);
    let database = world.record();
    for mark in database.marks().unwrap() {
        if mark.state != MarkState::Lost {
            insert(&app, "more");
            database.rewind(&to(&mark.name), None).unwrap();
            let expected: &[&str] = if mark.name == "one" { &["one"] } else { &["one", "two"] };
            assert_eq!(rows(&app), expected, "mark {}", mark.name);
        }
    }
}

/// The store fills up in a rewind: whatever the call answered, no later one is wrong.
#[test]
fn a_store_that_fills_up_in_a_rewind_is_never_wrong() {
    // A round of insert and rewind takes about 4,400 bytes of the store.
    for pad in 0..32 {
        let world = WalWorld::with(unsynced());
        let app = world.connect();
        insert(&app, "seed");
        let options = OpenOptions { limit: Some(4 << 20), ..unsynced() };
        let database = record(&world.path(), &options);
        // Keeps all that comes from being evicted. A sixteenth of the limit is left to evictions.
        database.mark_pinned("held").unwrap();
        app.execute("INSERT INTO t VALUES(-1, zeroblob(3740000))", []).unwrap();
        app.execute("DELETE FROM t WHERE id = -1", []).unwrap();
        database.mark("seed").unwrap();
        let seed = database.digest().unwrap();
        let mut number = 0;
        let error = loop {
            number += 1;
            // In the last segment: it would begin with a commit whatever was before it.
            for filler in 0..if number == 18 { pad } else { 0 } {
                // With its 64 bytes around it, a record of 144.
                database.mark(&format!("{filler:0>64}")).unwrap();
            }
            insert(&app, &format!("{number}"));
            let full = rows(&app);
            match database.rewind(&to("seed"), None) {
                Ok(_) => assert_eq!(rows(&app), ["seed"]),
                Err(error) => {
                    let now = rows(&app);
                    assert!(now == ["seed"] || now == full, "{now:?}");
                    assert_eq!(matches!(error, dbrewind_sqlite::Error::Late { .. }), now != full, "{error}");
                    break error;
                }
            }
        };
        assert_eq!(error.code(), Code::StoreFull, "{error}");
        if rows(&app) == ["seed"] {
            let again = database.rewind(&to("seed"), None);
            assert_eq!(again.map_err(|error| error.code()).unwrap_err(), Code::StoreFull, "pad {pad}");
            assert_eq!(database.now().unwrap_err().code(), Code::StoreFull, "pad {pad}");
        }
        let _ = database.close();
        let database = record(&world.path(), &OpenOptions { limit: Some(16 << 20), ..unsynced() });
        let marks = database.marks().unwrap();
        let state = marks.iter().find(|mark| mark.name == "seed").unwrap().state;
        if state != MarkState::Lost {
            insert(&app, "more");
            database.rewind(&to("seed"), None).unwrap();
            assert_eq!(database.digest().unwrap(), seed);
        }
    }
}

/// A reader that comes while a rewind has the freeze's slot in its hands may get that slot, and keep it for long.
#[test]
fn readers_on_every_slot_do_not_fail_a_rewind() {
    let world = WalWorld::with(unsynced());
    let app = world.connect();
    insert(&app, "seed");
    let database = record(&world.path(), &OpenOptions { timeout: Duration::from_millis(10), ..unsynced() });
    database.mark("seed").unwrap();
    let program = r#"
import sqlite3, sys, threading, time, random
def read(seed):
    r = random.Random(seed)
    c = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
    while True:
        c.execute("begin"); c.execute("select count(*) from t").fetchall()
        time.sleep(r.random() * 0.2 if r.random() < 0.3 else 0.0001); c.execute("commit")
for n in range(8):
    threading.Thread(target=read, args=(n,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"#;
    let mut readers = python(&world, program);
    let mut line = String::new();
    BufReader::new(readers.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let rewind = |round: u32| {
        insert(&app, &format!("{round}"));
        let mut tries = 0;
        let done = loop {
            match database.rewind(&to("seed"), Some(Duration::from_millis(10))) {
                // The tail has the object's lock, or a reader is recovering.
                Err(error) if error.to_string().contains("recording of this database") && tries < 50 => {
                    tries += 1
                }
                other => break other,
            }
        };
        done.map_err(|error| error.to_string())
    };
    let result: Result<Vec<_>, _> = (0..400).map(rewind).collect();
    drop(readers.stdin.take());
    readers.kill().unwrap();
    readers.wait().unwrap();
    result.unwrap();
    assert_eq!(rows(&app), ["seed"]);
}

/// Whoever is not the holder rewinds too, right from the beginning, and after the holder's checkpoint and end.
#[test]
fn two_recordings_of_one_database_rewind_in_turns() {
    let world = WalWorld::with(unsynced());
    let app = world.connect();
    insert(&app, "seed");
    let holder = world.record();
    let beside = world.record();
    holder.mark("seed").unwrap();
    for round in 0..30 {
        insert(&app, &format!("a{round}"));
        beside.rewind(&to("seed"), None).unwrap();
        assert_eq!(rows(&app), ["seed"], "round {round}");
        insert(&app, &format!("b{round}"));
        holder.rewind(&to("seed"), None).unwrap();
        assert_eq!(rows(&app), ["seed"], "round {round}");
    }
    insert(&app, "end");
    beside.mark("end").unwrap();
    holder.close().unwrap();
    insert(&app, "more");
    beside.rewind(&to("end"), None).unwrap();
    assert_eq!(rows(&app), ["seed", "end"]);
    beside.rewind(&to("seed"), None).unwrap();
    assert_eq!(rows(&app), ["seed"]);
}
