//! A process is stopped in the middle of a record: what others record after it nobody can see, and nothing is decided without it.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

#[path = "../../core/tests/forge/mod.rs"]
mod forge;
mod support;

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use dbrewind_core::{Head, Key, Kind, Store, StoreOptions};
use dbrewind_sqlite::{Clock, Code, Database, ManualClock, OpenOptions, SqliteApi, Target, Timestamp};
use support::World;
use support::wal::{WalWorld, insert, rows, to};

/// It has reserved the record behind the present end of the log. Dropping it is its death.
struct Stopped(#[expect(dead_code, reason = "holds a writer slot")] Store);

impl Stopped {
    /// In this folder, where one other writer is at rest.
    fn now(folder: &Path) -> Self {
        let store = Store::open(folder, &StoreOptions::default()).unwrap();
        let object = store.objects().unwrap()[0].0;
        let note = Head::new(Kind::Note, object, Key::new(999), store.last_lsn(object));
        let at = store.append(note, &[]).unwrap();
        let mut generation = [0; 4];
        // Of the second writer slot.
        std::fs::File::open(folder.join("control"))
            .unwrap()
            .read_exact_at(&mut generation, 4096 + 16)
            .unwrap();
        let owner = (1, u16::try_from(u32::from_le_bytes(generation) & 0xfff).unwrap());
        let segment = u32::try_from(at.segment().get()).unwrap();
        forge::reserve(folder, owner, segment, at.offset() + 40, 24).unwrap();
        Self(store)
    }
}

#[test]
fn hazard_a_rewind_while_images_are_hidden() {
    let world = World::new("delete", 4096);
    world.marked().0.close().unwrap();
    let options = OpenOptions { timeout: Duration::from_millis(300), ..world.options() };
    let record = || Database::open(SqliteApi::bundled(), &world.path(), &options);
    let (db, c) = (record().unwrap(), world.connect());
    let digest = db.digest().unwrap();
    let stopped = Stopped::now(&world.store());
    c.execute("update t set v = 'x' || v", []).unwrap();
    let changed = db.digest().unwrap();
    assert_ne!(changed, digest);
    for target in [Target::from("m"), Target::Time(Timestamp::now())] {
        let refused = db.rewind(&target, None).unwrap_err();
        assert_eq!(refused.code(), Code::Busy, "{refused}");
        assert_eq!(db.digest().unwrap(), changed);
    }
    // Another handle would not see what the history was.
    assert_eq!(record().unwrap_err().code(), Code::Busy);
    drop(stopped);
    db.rewind(&Target::from("m"), None).unwrap();
    assert_eq!(db.digest().unwrap(), digest);
    world.check(&c);
}

/// Our checkpoint saves what it overwrites in the database file; nobody would find it there.
#[test]
fn hazard_a_checkpoint_whose_images_are_hidden() {
    let clock = ManualClock::new(Timestamp::new(1_800_000_000_000_000_000));
    let hour = Duration::from_secs(3600);
    let options = OpenOptions {
        clock: Clock::Manual(clock.clone()),
        window: Some(16 * hour),
        wal_limit: u64::MAX,
        ..support::wal::unsynced()
    };
    let world = WalWorld::with(options);
    let app = world.connect();
    insert(&app, "one");
    app.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let db = world.record();
    db.mark("m").unwrap();
    let digest = db.digest().unwrap();
    insert(&app, "two");
    // It keeps the back-fill from coming to its end, and so an era from beginning.
    let reader = world.connect();
    reader.execute_batch("begin").unwrap();
    assert_eq!(rows(&reader).len(), 2);
    insert(&app, "three");
    db.drain().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let stopped = Stopped::now(&world.dir.path().join("app.db-rewind"));
    clock.advance(2 * hour);
    // The tail looks every 100 ms.
    std::thread::sleep(Duration::from_millis(500));
    match db.rewind(&to("m"), None) {
        Ok(_) => assert_eq!(db.digest().unwrap(), digest),
        Err(refused) => assert_eq!(refused.code(), Code::Busy, "{refused}"),
    }
    drop(stopped);
    reader.execute_batch("commit").unwrap();
    db.rewind(&to("m"), None).unwrap();
    assert_eq!(db.digest().unwrap(), digest);
    assert_eq!(rows(&app), ["one"]);
}

/// As of a neighbour in the same store whose disk takes longer than any usual wait: how long others wait is theirs to say.
#[test]
fn hazard_a_neighbour_waits_for_its_disk_while_a_recording_begins_or_ends() {
    let options = OpenOptions { timeout: Duration::from_secs(60), ..support::wal::unsynced() };
    let world = WalWorld::with(options);
    let folder = world.dir.path().join("app.db-rewind");
    let app = world.connect();
    let soon = |stopped: Stopped| {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1500));
            drop(stopped);
        })
    };
    let db = world.record();
    insert(&app, "one");
    db.mark("m").unwrap();
    db.drain().unwrap();
    let goes_on = soon(Stopped::now(&folder));
    insert(&app, "two");
    db.close().unwrap();
    goes_on.join().unwrap();
    // Another one has the first writer slot.
    let neighbour = world.store();
    let goes_on = soon(Stopped::now(&folder));
    let db = world.record();
    goes_on.join().unwrap();
    drop(neighbour);
    db.rewind(&to("m"), None).unwrap();
    assert_eq!(rows(&app), ["one"]);
    db.close().unwrap();
}
