//! Change counter and schema cookie at the largest number that fits in their 32 bits.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::os::unix::fs::FileExt;

use dbrewind_sqlite::{Code, MarkState, Target};
use rusqlite::Connection;
use support::World;

/// Puts numbers into page 1 that take a while to reach. Nobody has the database open.
fn set_numbers(world: &World, counter: u32, cookie: u32) {
    let file = std::fs::OpenOptions::new().write(true).open(world.path()).unwrap();
    for (at, number) in [(24, counter), (92, counter), (40, cookie)] {
        file.write_all_at(&number.to_be_bytes(), at).unwrap();
    }
}

fn begin(mode: &str) -> World {
    let world = World::new(mode, 4096);
    if mode == "wal" {
        drop(world.connect_by("unix"));
    }
    world
}

fn connect(world: &World) -> Connection {
    world.connect_by(if world.mode == "wal" { "unix" } else { "dbrewind" })
}

/// The counter goes on at 0 as SQLite's own does: nothing is lost, and nobody takes an old page for a new one.
#[test]
fn the_change_counter_wraps() {
    for mode in ["delete", "wal"] {
        for before in 0..12 {
            let world = begin(mode);
            set_numbers(&world, u32::MAX - before, 7);
            let database = world.record();
            let (c, reader) = (connect(&world), connect(&world));
            world.fill(&c, 0..1);
            database.mark("one").unwrap();
            world.fill(&c, 1..2);
            database.mark("two").unwrap();
            for round in 0..8 {
                let at = format!("{mode} {before} {round}");
                world.fill(&c, 10..11 + round);
                assert_eq!(world.count(&reader), 3 + round, "{at}");
                for (name, rows) in [("one", 1), ("two", 2), ("one", 1), ("two", 2)] {
                    database.rewind(&Target::from(name), None).unwrap();
                    assert_eq!((world.count(&reader), world.count(&c)), (rows, rows), "{at}");
                }
            }
            world.check(&reader);
            // Nor does who comes later.
            drop((c, reader));
            database.close().unwrap();
            let database = world.record();
            assert!(database.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost));
            database.rewind(&Target::from("one"), None).unwrap();
            assert_eq!(world.count(&connect(&world)), 1);
            if mode == "delete" {
                assert!(counter(&world) < u32::MAX / 2, "it never wrapped");
            }
        }
    }
}

fn counter(world: &World) -> u32 {
    // Not by opening the file here, which would cost the recording its locks.
    let out =
        std::process::Command::new("od").args(["-An", "-tx1", "-j24", "-N4"]).arg(world.path()).output();
    let text = String::from_utf8(out.unwrap().stdout).unwrap();
    u32::from_str_radix(&text.split_whitespace().collect::<String>(), 16).unwrap()
}

/// A cookie that may have stood for another schema before is never given: a connection would read one table's rows as
/// another's. The rewind is refused, and nothing is changed; one that leaves the schema alone still works.
#[test]
fn the_schema_cookie_does_not_wrap() {
    for mode in ["delete", "wal"] {
        let world = begin(mode);
        set_numbers(&world, 77, u32::MAX - 1);
        let database = world.record();
        let c = connect(&world);
        database.mark("old schema").unwrap();
        c.execute_batch("create table u(x)").unwrap();
        database.mark("new schema").unwrap();
        world.fill(&c, 0..5);
        let digest = database.digest().unwrap();
        let error = database.rewind(&Target::from("old schema"), None).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{error}");
        assert!(error.to_string().contains("schema_version"), "{error}");
        assert_eq!(database.digest().unwrap(), digest);
        assert_eq!(world.count(&c), 5);
        database.rewind(&Target::from("new schema"), None).unwrap();
        assert_eq!(world.count(&c), 0);
        world.check(&c);
    }
}
