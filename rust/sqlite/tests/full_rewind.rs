//! A rewind in a full store happens and is recorded, or changes nothing.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test panics")]

mod support;

use dbrewind_core::{Cursor, Kind, Need};
use dbrewind_sqlite::{Code, Database, Error, Journal, MarkState, Method, Rewound, Target};
use rusqlite::Connection;
use support::full::{LIMIT, Scene, is_lost, states};

/// A full store is about to be rewound in.
struct Ready {
    scene: Scene,
    database: Database,
    /// Keeps the WAL's end from being moved.
    reader: Option<Connection>,
}

fn moved() -> Ready {
    let scene = Scene::new("wal");
    let database = scene.with_three();
    Ready { scene, database, reader: None }
}

fn beside_a_reader() -> Ready {
    let ready = moved();
    let reader = ready.scene.connect();
    reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    Ready { reader: Some(reader), ..ready }
}

/// The moments are before the present era, the rewind's images have to be recorded.
fn to_the_era_before() -> Ready {
    let scene = Scene::new("delete");
    scene.with_three().close().unwrap();
    let database = scene.open_in(Some(Journal::Wal), None).unwrap();
    Ready { scene, database, reader: None }
}

fn refused(error: &Error) {
    assert_eq!(error.code(), Code::StoreFull, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("not rewound: ") && text.contains("has changed nothing"), "{text}");
}

/// Once the pin is dropped there is room, or the error says rightly that a higher limit is wanted.
fn goes_on(scene: &Scene, database: Database) -> Database {
    match database.mark("more") {
        Ok(_) => database,
        Err(error) => {
            // What has to be said or saved before the WAL is brought into the file has no room, and nothing can go before that.
            assert!(error.to_string().starts_with("not marked: "), "{error}");
            let _ = database.close();
            let database = scene.open(Some(4 * LIMIT)).unwrap();
            database.mark("more").unwrap();
            database
        }
    }
}

/// However many bytes are left, in steps of so many of the shortest records.
fn with_any_room(build: fn() -> Ready, method: Method, (long, shortest): (usize, usize), step: usize) {
    let mut outcomes = [0, 0];
    for shortest in (0..shortest).step_by(step) {
        let Ready { scene, database, reader } = build();
        scene.fill_up_with(long, shortest);
        let before = database.digest().unwrap();
        let outcome = database.rewind(&Target::from("two"), None);
        match &outcome {
            Ok(Rewound { method: how, .. }) => {
                // An era that was due may have begun in between: then the mark is not in the WAL any more.
                assert!(*how == method || method == Method::Moved, "{shortest}: {how:?}");
                assert_eq!(scene.rows().len(), 2, "{shortest}");
            }
            Err(error) => {
                refused(error);
                assert!(error.to_string().contains("drop pinned marks"), "{error}");
                assert_eq!((scene.rows().len(), database.digest().unwrap()), (3, before), "{shortest}");
            }
        }
        outcomes[usize::from(outcome.is_ok())] += 1;
        assert!(!states(&database).iter().any(is_lost), "{shortest}: {outcome:?}");
        drop(reader);
        database.drop_mark("one").unwrap();
        let database = goes_on(&scene, database);
        assert!(!states(&database).iter().any(is_lost), "{shortest}");
        database.close().unwrap();
    }
    assert!(outcomes[1] > 0, "{outcomes:?}");
    // What is said in need has room of its own, and it is a matter of time whether some of that is made.
    assert!(outcomes[0] > 0 || method == Method::Moved, "{outcomes:?}");
}

/// How many long records a store takes until it is full.
fn long(build: fn() -> Ready) -> usize {
    let Ready { scene, database, reader } = build();
    let long = scene.fill_up_with(usize::MAX, 0);
    drop((database, reader));
    long
}

#[test]
fn hazard_a_rewind_has_happened_and_there_is_no_room_to_say_so() {
    with_any_room(moved, Method::Moved, (long(moved) - 2, 84), 1);
}

/// Of that all is said in need.
#[test]
fn hazard_a_rewind_has_happened_and_there_is_no_room_in_need_either() {
    let builds = [(moved as fn() -> Ready, Method::Moved), (beside_a_reader, Method::Written)];
    let needs = [None, Some(Need::Keep)];
    for ((build, method), need) in builds.into_iter().flat_map(|build| needs.map(|need| (build, need))) {
        let Ready { scene, database, reader } = build();
        scene.fill_up(need);
        let before = database.digest().unwrap();
        match database.rewind(&Target::from("two"), None) {
            Ok(done) => assert_eq!((need, done.method, scene.rows().len()), (None, method, 2)),
            Err(error) => {
                refused(&error);
                assert_eq!((need, database.digest().unwrap()), (Some(Need::Keep), before));
            }
        }
        assert!(!states(&database).iter().any(is_lost), "{need:?}");
        drop(reader);
        database.drop_mark("one").unwrap();
        let database = goes_on(&scene, database);
        assert!(!states(&database).iter().any(is_lost), "{need:?}");
        database.close().unwrap();
    }
}

#[test]
fn hazard_a_rewind_has_happened_and_there_is_no_room_for_its_images() {
    let build = to_the_era_before;
    with_any_room(build, Method::Written, (long(build) - 80, 4000), 100);
}

/// The look has found what could be evicted, and somebody reads it meanwhile.
#[test]
fn hazard_the_room_that_was_found_for_the_images_is_not_to_be_had() {
    let scene = Scene::new("delete");
    let database = scene.record();
    scene.write("old");
    let change = |text: &str| {
        let app = scene.connect();
        app.execute("UPDATE t SET x = ?1 || hex(randomblob(30000))", [text]).unwrap();
    };
    for round in 0..40 {
        database.mark(&format!("round {round}")).unwrap();
        change("old");
    }
    database.mark_pinned("near").unwrap();
    let there = database.digest().unwrap();
    database.close().unwrap();
    // The present era: all of "near" differs, and what was before it may go.
    let database = scene.open_in(Some(Journal::Wal), None).unwrap();
    change("new");
    database.drain().unwrap();
    let (store, before) = (scene.store(), database.digest().unwrap());
    let hold = store.hold_window().unwrap();
    let (filler, head) = scene.filler();
    // Room for the first few images, beside what is left to evictions.
    while store.would_have_room((26, 4096), (Need::Keep, 0)).unwrap() {
        filler.append(head, &[&[7; 1000]]).unwrap();
    }
    let first = store.first_segment();
    let mut end = Cursor::default();
    store.scan(&mut end, &mut |_, _, _| {}).unwrap();
    let error = database.rewind(&Target::from("near"), None).unwrap_err();
    refused(&error);
    let mut taken_back = 0;
    store.scan(&mut end, &mut |head, _, _| taken_back += usize::from(head.kind == Kind::Void)).unwrap();
    assert_eq!(taken_back, 1, "{error}");
    assert_eq!(database.digest().unwrap(), before);
    assert!(!states(&database).iter().any(is_lost));
    assert_eq!(store.first_segment(), first);
    drop(hold);
    assert_eq!(database.rewind(&Target::from("near"), None).unwrap().method, Method::Written);
    assert_eq!(database.digest().unwrap(), there);
    assert!(store.first_segment() > first && scene.used() <= LIMIT);
    let near = states(&database).into_iter().find(|(name, _)| name == "near").unwrap();
    assert_ne!(near.1, MarkState::Lost);
    database.close().unwrap();
}
