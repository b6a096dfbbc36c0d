//! The holder is killed: what is certain is kept, what is not is refused, in WAL mode.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::os::unix::fs::FileExt;
use std::path::Path;

use dbrewind_core::{Cursor, Head, Key, Kind, Lsn, Record, Store};
use dbrewind_sqlite::{MarkState, OpenOptions, Synchronous, Target};
use rusqlite::Connection;
use support::child;
use support::wal::{WalWorld, insert, record, rows, unsynced};

/// Without syncs, and with a WAL of any length, or one that is brought into the database at once.
fn quick(wal_limit: u64) -> OpenOptions {
    OpenOptions { wal_limit, ..unsynced() }
}

#[test]
#[ignore = "run by marks_survive_a_holder_that_is_killed_at_once"]
fn child_marks_at_once() {
    let path = child::path();
    let app = Connection::open(&path).unwrap();
    app.execute_batch("PRAGMA synchronous=OFF").unwrap();
    insert(&app, "zero");
    // The database file is written to just now.
    app.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    let database = record(&path, &quick(u64::MAX));
    database.mark("first").unwrap();
    insert(&app, "one");
    database.mark("second").unwrap();
    insert(&app, "two");
    child::wait_for_the_kill();
}

/// Nobody wrote to the database file after the anchor, however young its times were: nothing is lost. With or without
/// another program connected all the time, which keeps the wal-index alive and goes on committing.
#[test]
fn marks_survive_a_holder_that_is_killed_at_once() {
    for company in [true, false] {
        let scene = WalWorld::with(quick(u64::MAX));
        let before = company.then(|| scene.connect());
        if let Some(app) = &before {
            assert_eq!(rows(app), Vec::<String>::new());
        }
        child::kill(child::start("child_marks_at_once", &scene.path()));
        let app = before.unwrap_or_else(|| scene.connect());
        insert(&app, "after the kill");
        let all = ["zero", "one", "two", "after the kill"];
        assert_eq!(rows(&app), all);
        let database = scene.record();
        assert!(database.marks().unwrap().iter().all(|mark| mark.state == MarkState::Hot), "{company}");
        database.mark("now").unwrap();
        for (name, kept) in [("first", 1), ("second", 2), ("now", 4), ("first", 1)] {
            database.rewind(&Target::from(name), None).unwrap();
            assert_eq!(rows(&app), all[..kept], "{name} {company}");
        }
    }
}

/// The same, but another program back-fills as soon as the holder is dead: that shows, however fast it is.
#[test]
fn a_checkpoint_right_after_the_kill_is_noticed() {
    let scene = WalWorld::with(quick(u64::MAX));
    let app = scene.connect();
    assert_eq!(rows(&app), Vec::<String>::new());
    child::kill(child::start("child_marks_at_once", &scene.path()));
    app.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    let database = scene.record();
    assert!(database.marks().unwrap().iter().all(|mark| mark.state == MarkState::Lost));
}

#[test]
#[ignore = "run by marks_survive_a_kill_right_after_our_checkpoint"]
fn child_checkpoints() {
    let path = child::path();
    let app = Connection::open(&path).unwrap();
    let database = record(&path, &quick(0));
    database.mark("first").unwrap();
    insert(&app, "one");
    database.mark("second").unwrap();
    let size = || std::fs::metadata(&path).unwrap().len();
    let (before, wal) = (size(), WalStart::of(&path));
    insert(&app, &"two ".repeat(5000));
    // Until our own checkpoint has written it to the database file and begun the WAL anew.
    while size() == before || WalStart::of(&path) == wal {
        std::thread::yield_now();
    }
    // The anchor follows within microseconds.
    database.drain().unwrap();
    child::wait_for_the_kill();
}

/// The salts, which every new generation of a WAL changes.
#[derive(PartialEq, Eq)]
struct WalStart([u8; 8]);

impl WalStart {
    fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let mut salts = [0; 8];
        let _short = std::fs::File::open(path).unwrap().read_exact_at(&mut salts, 16);
        Self(salts)
    }
}

/// The times of the database file are as young as can be.
#[test]
fn marks_survive_a_kill_right_after_our_checkpoint() {
    let scene = WalWorld::with(quick(u64::MAX));
    child::kill(child::start("child_checkpoints", &scene.path()));
    let app = scene.connect();
    assert_eq!(rows(&app).len(), 2);
    let database = scene.record();
    for (name, kept) in [("second", 1), ("first", 0), ("second", 1)] {
        database.rewind(&Target::from(name), None).unwrap();
        assert_eq!(rows(&app).len(), kept, "{name}");
    }
}

#[test]
#[ignore = "run by torn_rewind_and_an_identical_replay"]
fn child_marks_two_moments() {
    let path = child::path();
    let app = Connection::open(&path).unwrap();
    insert(&app, "seed");
    let database = record(&path, &quick(u64::MAX));
    database.mark("seed").unwrap();
    insert(&app, "one");
    insert(&app, "two");
    database.mark("two").unwrap();
    database.drain().unwrap();
    child::wait_for_the_kill();
}

/// The frames of a WAL: where its page size ends up, header and page.
struct Frames {
    file: std::fs::File,
    length: u64,
}

impl Frames {
    fn of(scene: &WalWorld) -> Self {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(scene.wal()).unwrap();
        let mut size = [0; 4];
        file.read_exact_at(&mut size, 8).unwrap();
        Self { file, length: 24 + u64::from(u32::from_be_bytes(size)) }
    }

    fn start(&self, frame: u32) -> u64 {
        32 + u64::from(frame - 1) * self.length
    }

    /// The two words in the order in which our notes have them.
    fn checksum(&self, frame: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, self.start(frame) + 16).unwrap();
        bytes[..4].reverse();
        bytes[4..].reverse();
        bytes
    }

    fn last(&self) -> u32 {
        u32::try_from((self.file.metadata().unwrap().len() - 32) / self.length).unwrap()
    }
}

fn records(store: &Store, kind: Kind) -> Vec<Record> {
    let mut found = Vec::new();
    store.scan(&mut Cursor::default(), &mut |head, at, _| found.push((head, at))).unwrap();
    let found = found.into_iter().filter(|(head, _)| head.kind == kind);
    found.map(|(_, at)| store.read(at).unwrap()).collect()
}

/// What a rewind from "two" to "seed" leaves behind that is killed in the middle of writing its frame.
fn tear_a_rewind(scene: &WalWorld) {
    let (frames, next) = intend_a_rewind(scene);
    frames.file.write_all_at(&[0xaa; 100], frames.start(next) + 24).unwrap();
}

/// The same of one that is killed before that: and which frame it would have been.
fn intend_a_rewind(scene: &WalWorld) -> (Frames, u32) {
    let store = scene.store();
    let marks = records(&store, Kind::Mark);
    let (seed, two) = (&marks[0], &marks[1]);
    let frame_of = |mark: &Record| {
        let at = mark.body.len() - 32;
        u32::from_le_bytes(mark.body[at..at + 4].try_into().unwrap())
    };
    let frames = Frames::of(scene);
    let (last, next) = (frame_of(two), frame_of(seed) + 1);
    assert_eq!(last, frames.last());
    let mut intent = Vec::new();
    intent.extend_from_slice(&two.head.lsn.get().to_le_bytes());
    intent.extend_from_slice(&seed.head.lsn.get().to_le_bytes());
    intent.extend_from_slice(&next.to_le_bytes());
    intent.extend_from_slice(&last.to_le_bytes());
    intent.extend_from_slice(b"intended");
    intent.extend_from_slice(&frames.checksum(last));
    let lsn = Lsn::new(two.head.lsn.get() + 1);
    let head = Head::new(Kind::Note, two.head.object, Key::new(3), lsn);
    store.append(head, &[&intent]).unwrap();
    (frames, next)
}

/// Somebody has WRITE when the next recording finds the intent: what came of it is said at the latest when that ends, so that the last anchor is the
/// last word for who comes then.
#[test]
fn a_rewind_that_did_not_happen_is_said_when_the_writer_at_the_attach_has_gone() {
    for (ends, now) in [("ROLLBACK", 3), ("COMMIT", 4)] {
        let scene = WalWorld::with(quick(u64::MAX));
        child::kill(child::start("child_marks_two_moments", &scene.path()));
        intend_a_rewind(&scene);
        let app = scene.connect();
        app.execute_batch("BEGIN IMMEDIATE").unwrap();
        insert(&app, "three");
        let database = scene.record();
        assert_eq!(records(&scene.store(), Kind::Rewind).len(), 0, "somebody has WRITE");
        app.execute_batch(ends).unwrap();
        drop(app);
        database.close().unwrap();
        assert_eq!(records(&scene.store(), Kind::Rewind).len(), usize::from(ends == "ROLLBACK"), "{ends}");
        assert_eq!(scene.plain(&["SELECT count(*) FROM t"]), format!("[({now},)]\n"));
        let database = scene.record();
        assert!(database.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost), "{ends}");
        let app = scene.connect();
        for (name, kept) in [("seed", 1), ("two", 3), ("seed", 1)] {
            database.rewind(&Target::from(name), None).unwrap();
            assert_eq!(rows(&app).len(), kept, "{name} after {ends}");
        }
    }
}

/// A torn rewind ends at its target. What others commit then may be frame for frame what was abandoned, up to any point:
/// that must not be taken for the abandoned chain, unless it is the same to its very end.
#[test]
fn torn_rewind_and_an_identical_replay() {
    for replay in [&["one"][..], &["one", "two"], &["one", "owt"], &["one", "owt", "3"], &["eno", "two"], &[]]
    {
        let scene = WalWorld::with(quick(u64::MAX));
        child::kill(child::start("child_marks_two_moments", &scene.path()));
        tear_a_rewind(&scene);
        let app = scene.connect();
        assert_eq!(rows(&app), ["seed"], "the chain ends there");
        for text in replay {
            insert(&app, text);
        }
        let now = [&["seed"], replay].concat();
        let database = scene.record();
        assert!(database.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost), "{replay:?}");
        database.mark("now").unwrap();
        for (name, expected) in
            [("two", &["seed", "one", "two"][..]), ("now", &now), ("seed", &["seed"]), ("now", &now)]
        {
            database.rewind(&Target::from(name), None).unwrap();
            assert_eq!(rows(&app), expected, "{name} after {replay:?}");
        }
    }
}

#[cfg(feature = "fault")]
#[test]
#[ignore = "run by a_kill_in_the_midst_of_our_checkpoint_loses_nothing"]
fn child_dies_in_a_checkpoint() {
    let path = child::path();
    let app = Connection::open(&path).unwrap();
    let database = record(&path, &quick(u64::MAX));
    database.mark("first").unwrap();
    insert(&app, "one");
    database.mark("second").unwrap();
    insert(&app, &"two ".repeat(5000));
    database.mark("third").unwrap();
    // Its checkpoint does not come to its end.
    drop(database);
}

/// Whatever came into the database file, what it took the place of was saved before.
#[cfg(feature = "fault")]
#[test]
fn a_kill_in_the_midst_of_our_checkpoint_loses_nothing() {
    for place in ["announced", "one page", "pages written", "no anchor yet"] {
        for company in [true, false] {
            let scene = WalWorld::with(quick(u64::MAX));
            let before = company.then(|| scene.connect());
            if let Some(app) = &before {
                assert_eq!(rows(app), Vec::<String>::new());
            }
            let at = format!("1 wal checkpoint: {place}");
            assert!(
                child::dies_at("child_dies_in_a_checkpoint", &scene.path(), &at),
                "{place:?} not reached"
            );
            let app = before.unwrap_or_else(|| scene.connect());
            assert_eq!(rows(&app).len(), 2);
            let database = scene.record();
            insert(&app, "three");
            for (name, kept) in [("second", 1), ("first", 0), ("third", 2), ("first", 0), ("second", 1)] {
                database
                    .rewind(&Target::from(name), None)
                    .unwrap_or_else(|e| panic!("{place} {company}: {e}"));
                assert_eq!(rows(&app).len(), kept, "{name} {place} {company}");
            }
            let check: String = app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(check, "ok");
        }
    }
}

#[cfg(feature = "fault")]
#[test]
#[ignore = "run by a_rewind_that_was_killed_before_it_happened_costs_no_marks"]
fn child_dies_in_a_rewind() {
    let path = child::path();
    let app = Connection::open(&path).unwrap();
    let database = record(&path, &quick(u64::MAX));
    database.mark("first").unwrap();
    insert(&app, "one");
    database.mark("second").unwrap();
    let _ = database.rewind(&Target::from("first"), None);
}

/// The next recording is closed without anything in between: what came of the rewind is said, so that the last anchor is the last word.
#[cfg(feature = "fault")]
#[test]
fn a_rewind_that_was_killed_before_it_happened_costs_no_marks() {
    for place in ["room", "intent", "header invalid"] {
        let scene = WalWorld::with(quick(u64::MAX));
        let at = format!("1 wal rewind: {place}");
        assert!(child::dies_at("child_dies_in_a_rewind", &scene.path(), &at), "{place:?} not reached");
        scene.record().close().unwrap();
        assert_eq!(scene.plain(&["SELECT count(*) FROM t"]), "[(1,)]\n");
        let database = scene.record();
        assert!(database.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost), "{place}");
        let app = scene.connect();
        for (name, kept) in [("first", 0), ("second", 1), ("first", 0)] {
            database.rewind(&Target::from(name), None).unwrap();
            assert_eq!(rows(&app).len(), kept, "{name} {place}");
        }
    }
}

/// What `close` leaves is on disk: a power cut right after it takes no record, hence no mark. As `control` says it: all before
/// the synced place (320) was synced, and the next record goes to the other one (192).
#[test]
fn a_close_syncs_the_store() {
    for synchronous in [Synchronous::Normal, Synchronous::Full] {
        let world = WalWorld::with(OpenOptions { synchronous, ..OpenOptions::default() });
        let database = world.record();
        let app = world.connect();
        database.mark("seed").unwrap();
        insert(&app, "one");
        database.close().unwrap();
        let control = std::fs::File::open(world.dir.path().join("app.db-rewind/control")).unwrap();
        let word = |at| {
            let mut bytes = [0; 8];
            control.read_exact_at(&mut bytes, at).unwrap();
            u64::from_le_bytes(bytes)
        };
        assert_eq!(word(320), word(192), "{synchronous:?}");
    }
}
