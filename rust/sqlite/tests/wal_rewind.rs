//! Rewinds of a database in WAL mode, seen from the application's own connections.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use dbrewind_sqlite::{MarkState, Method, Target};
use support::wal::{WalWorld, insert, rows, to};

#[test]
fn rewinding_there_and_back_and_there_again() {
    let world = WalWorld::new();
    let app = world.connect();
    insert(&app, "seed");
    let database = world.record();
    let mark = database.mark("seeded").unwrap();
    assert_eq!(mark.state, MarkState::Hot);
    let seeded = database.digest().unwrap();
    for round in 0..20 {
        for number in 0..10 {
            insert(&app, &format!("{round}-{number}"));
        }
        assert!(database.dirty_since(&to("seeded")).unwrap());
        let changed = database.digest().unwrap();
        assert_ne!(changed, seeded);
        let rewound = database.rewind(&to("seeded"), None).unwrap();
        assert_eq!(rewound.method, Method::Moved);
        assert_eq!(rows(&app), ["seed"]);
        assert_eq!(database.digest().unwrap(), seeded);
        assert!(!database.dirty_since(&to("seeded")).unwrap());
        assert_eq!(database.rewind(&to("seeded"), None).unwrap().method, Method::Nothing);

        let redone = database.rewind(&Target::Lsn(rewound.undo), None).unwrap();
        assert_eq!(redone.method, Method::Written);
        assert_eq!(rows(&app).len(), 11, "round {round}");
        assert_eq!(database.digest().unwrap(), changed);
        assert_eq!(database.rewind(&to("seeded"), None).unwrap().method, Method::Moved);
    }
    let check: String = app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_reader_on_an_old_snapshot_is_not_disturbed() {
    let world = WalWorld::new();
    let (app, reader) = (world.connect(), world.connect());
    let database = world.record();
    database.mark("empty").unwrap();
    insert(&app, "one");
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(rows(&reader), ["one"]);
    let rewound = database.rewind(&to("empty"), None).unwrap();
    assert_eq!(rewound.method, Method::Written);
    assert_eq!(rows(&reader), ["one"]);
    assert_eq!(rows(&app), Vec::<String>::new());
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&reader), Vec::<String>::new());
}

#[test]
fn marks_survive_closing() {
    let world = WalWorld::new();
    let app = world.connect();
    insert(&app, "seed");
    let before = {
        let database = world.record();
        database.mark("seeded").unwrap();
        let digest = database.digest().unwrap();
        insert(&app, "more");
        database.mark("more").unwrap();
        database.close().unwrap();
        digest
    };
    drop(app);
    let database = world.record();
    let states: Vec<_> = database.marks().unwrap().into_iter().map(|mark| (mark.name, mark.state)).collect();
    assert_eq!(states, [("seeded".into(), MarkState::Archived), ("more".into(), MarkState::Hot)]);
    let app = world.connect();
    insert(&app, "even more");
    assert_eq!(database.rewind(&to("more"), None).unwrap().method, Method::Moved);
    assert_eq!(rows(&app), ["seed", "more"]);
    assert_eq!(database.rewind(&to("seeded"), None).unwrap().method, Method::Written);
    assert_eq!(rows(&app), ["seed"]);
    assert_eq!(database.digest().unwrap(), before);
}
