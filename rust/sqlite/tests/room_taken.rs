//! A neighbour in the same store takes its last room between two steps of somebody who has looked for it: nothing is half done, and
//! whoever finds no room says so.
#![cfg(feature = "fault")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "functions of a test")]

mod support;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dbrewind_core::{Need, Store};
use dbrewind_sqlite::{Database, Error, Journal, Method, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;
use support::full::{LIMIT, Scene, is_lost, states};

const PATH: &str = "DBREWIND_TEST_PATH";
const DOES: &str = "DBREWIND_TEST_DOES";

/// What the child is asked for.
const LOOK: &str = "look";
const MOVE: &str = "move";
const WRITE: &str = "write";

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_is_stopped() {
    let Ok(path) = std::env::var(PATH) else { return };
    let (path, does) = (Path::new(&path), std::env::var(DOES).unwrap());
    let store = Some(path.with_file_name("history"));
    let options = OpenOptions { store, synchronous: Synchronous::Off, seal: false, ..OpenOptions::default() };
    let database = Database::open(SqliteApi::bundled(), path, &options).unwrap();
    let reader = Connection::open(path).unwrap();
    let done = match does.as_str() {
        LOOK => database.now().map(drop),
        MOVE => loop {
            database.mark("hot").unwrap();
            reader.execute_batch("INSERT INTO t VALUES('new')").unwrap();
            match database.rewind(&Target::from("hot"), None) {
                // An era was due, and has begun in between.
                Ok(done) if done.method == Method::Written => database.drop_mark("hot").unwrap(),
                other => break other.map(drop),
            }
        },
        _ => {
            // Keeps the WAL's end from being moved.
            reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
            database.rewind(&Target::from("two"), None).map(drop)
        }
    };
    println!("outcome: {}", done.map_or_else(|error: Error| error.to_string(), |()| "done".to_owned()));
    // As a kill: what it would say last is another question.
    std::process::abort();
}

fn begin(scene: &Scene, does: &str, place: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_is_stopped", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PATH, scene.path())
        .env(DOES, does)
        .env("DBREWIND_FAULT_AT", format!("1 {place}"))
        .env("DBREWIND_FAULT_STOPS", "")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    let state = || std::fs::read_to_string(&stat).unwrap_or_default();
    for _ in 0..3000 {
        if state().rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')) {
            return child;
        }
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{place}: it does not come there: {}", told(&mut child));
}

fn told(child: &mut Child) -> String {
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    told
}

/// What it says when it goes on.
fn outcome(mut child: Child) -> String {
    assert!(Command::new("kill").args(["-CONT", &child.id().to_string()]).status().unwrap().success());
    let told = told(&mut child);
    let _ = child.wait();
    told.split_once("outcome: ").unwrap_or_else(|| panic!("{told}")).1.lines().next().unwrap().to_owned()
}

/// All that there is, also of what a history may take in need.
fn take_all(store: &Store, head: dbrewind_core::Head) {
    while store.append(head, &[&[7; 1000]]).is_ok() {}
    while store.append_in_need(Need::Keep, head, &[&[7; 1000]]).is_ok() {}
    while store.append_in_need(Need::Keep, head, &[]).is_ok() {}
    while store.append(head, &[]).is_ok() {}
}

/// All but what is enough for one short record or two.
fn take_most(store: &Store, head: dbrewind_core::Head) {
    while store.append(head, &[&[7; 1000]]).is_ok() {}
    while store.has_room_in_need(Need::Keep, 1100) {
        store.append_in_need(Need::Keep, head, &[&[7; 1000]]).unwrap();
    }
    while store.has_room_in_need(Need::Keep, 100) {
        store.append_in_need(Need::Keep, head, &[]).unwrap();
    }
}

/// Three moments, in this journal mode, and nobody records.
fn three(mode: &'static str) -> Scene {
    let scene = Scene::new(mode);
    scene.with_three().close().unwrap();
    if mode == "delete" {
        scene.open_in(Some(Journal::Wal), None).unwrap().close().unwrap();
    }
    scene
}

#[test]
fn hazard_a_neighbour_takes_the_room_that_a_rewind_has_found() {
    let cases = [
        ("wal", MOVE, "wal rewind: asked", false),
        ("wal", MOVE, "wal rewind: room", true),
        ("wal", MOVE, "wal rewind: intent", true),
        ("wal", WRITE, "wal written rewind: frames entered", false),
        ("wal", WRITE, "wal written rewind: room", true),
        ("delete", WRITE, "wal written rewind: frames entered", false),
        ("delete", WRITE, "wal written rewind: images recorded", false),
        ("delete", WRITE, "wal written rewind: room", true),
    ];
    let takes = [("all", take_all as fn(&Store, dbrewind_core::Head)), ("most", take_most)];
    for ((mode, does, place, happens), (taken, take)) in
        cases.into_iter().flat_map(|case| takes.map(|take| (case, take)))
    {
        let what = format!("{mode}, {place}, {taken}");
        let scene = three(mode);
        let (store, head) = scene.filler();
        let child = begin(&scene, does, place);
        take(&store, head);
        let told = outcome(child);
        // With a little left it may have made room, by an eviction that was not due before.
        let happens = happens || taken == "most" && told == "done";
        if happens {
            assert_eq!(told, "done", "{what}");
        } else {
            assert!(
                told.starts_with("not rewound: ") && told.contains("has changed nothing"),
                "{what}: {told}"
            );
        }
        let all = ["one", "two", "six", "new"];
        let rows = match (does, happens) {
            (MOVE, false) => &all[..],
            (WRITE, true) => &all[..2],
            _ => &all[..3],
        };
        scene.open(Some(8 * LIMIT)).unwrap().close().unwrap();
        // Somebody who is alone brings into the file what the WAL has.
        assert_eq!(scene.rows(), rows, "{what}");
        let database = scene.open(Some(8 * LIMIT)).unwrap();
        assert!(!states(&database).iter().any(is_lost), "{what}: {:?}", states(&database));
        scene.check(&database, "six", &["one", "two", "six"]);
        scene.check(&database, "one", &["one"]);
        assert_eq!(scene.rows(), rows, "{what}");
        database.close().unwrap();
    }
}

/// It has looked for room, and nothing of it is left when it has notes to write: it says so, and the marks are there when there is room.
#[test]
fn hazard_a_neighbour_takes_the_room_that_an_attach_has_found() {
    for place in ["wal attach: room", "wal attach: frozen"] {
        let scene = three("wal");
        let (store, head) = scene.filler();
        let child = begin(&scene, LOOK, place);
        take_all(&store, head);
        let told = outcome(child);
        assert!(told.starts_with("nothing is recorded: "), "{place}: {told}");
        let database = scene.open(None).unwrap();
        assert!(!states(&database).iter().any(is_lost), "{place}");
        // It may be the first to say that nothing was recorded.
        let _ = database.close();
        let database = scene.open(Some(8 * LIMIT)).unwrap();
        assert!(!states(&database).iter().any(is_lost), "{place}");
        scene.check(&database, "one", &["one"]);
        assert_eq!(scene.rows(), ["one", "two", "six"], "{place}");
        database.close().unwrap();
    }
}
