//! Evictors that are killed: at each step (feature `fault`), and at any instruction, beside writers and readers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dbrewind_core::{
    Clock, Code, CommitBody, Engine, EraBody, Extent, Head, Key, Kind, Lsn, ManualClock, MarkBody, MarkName,
    ObjectId, PINNED, Store, StoreOptions, Timeline, Timestamp,
};

const OPTIONS: StoreOptions = StoreOptions { first_segment: 4096, max_segment: 16 << 10, limit: 1 << 20 };
const FOLDER: &str = "DBREWIND_TEST_FOLDER";
const HOUR: u64 = 3_600_000_000_000;
const BEGIN: u64 = 1000 * HOUR;

/// A store whose clock stands so many hours after the beginning.
fn open(folder: &Path, hour: u64) -> Store {
    let clock = ManualClock::new(Timestamp::new(BEGIN + hour * HOUR));
    Store::open_by(folder, &OPTIONS, Clock::Manual(clock)).unwrap()
}

/// An hour of an object: an era, a mark, and images. Its LSNs begin with the hour.
fn record(store: &Store, object: ObjectId, hour: u64) {
    let lsn = Lsn::new(hour * 10 + 1);
    let head = |kind, key| Head::new(kind, object, Key::new(key), lsn);
    let time = Timestamp::new(BEGIN + hour * HOUR);
    let era = EraBody { time, extent: Extent::new(9), broken: false };
    let at = store.append(head(Kind::Era, Engine::Rollback.key().get()), &[&era.encode()]).unwrap();
    store.note_era(object, at, lsn, time);
    let name = MarkName::new(&format!("hour {hour}")).unwrap();
    let mark = MarkBody { time, extent: Extent::new(9), name, note: &[] };
    let flags = if hour == PIN { PINNED } else { 0 };
    store.append(Head { flags, ..head(Kind::Mark, 0) }, &[&mark.encode()]).unwrap();
    let images = Lsn::new(hour * 10 + 2);
    for page in 0..40 {
        let head = Head::new(Kind::Before, object, Key::new(1 + page % 9), images);
        store.append(head, &[&[u8::try_from(hour % 251).unwrap(); 512]]).unwrap();
    }
    let commit = CommitBody { time, extent: Extent::new(9) };
    store.append(Head::new(Kind::Commit, object, Key::new(0), images), &[&commit.encode()]).unwrap();
    store.raise_last_lsn(object, images);
}

const HOURS: u64 = 20;
const PIN: u64 = 12;

/// What can be reached must be exactly what is within the window or pinned; the rest is evicted, or not yet.
fn check(store: &Store, what: &str) {
    let object = store.object(".", 512).unwrap();
    let mut timeline = Timeline::new(object);
    timeline.catch_up(store).unwrap();
    for hour in 0..HOURS {
        let mark = timeline.mark(&format!("hour {hour}")).unwrap_or_else(|| panic!("{what}: no mark {hour}"));
        assert!(!mark.lost, "{what}: {hour}");
        assert_eq!((mark.lsn.get(), mark.pinned), (hour * 10 + 1, hour == PIN), "{what}");
        match timeline.reachable(mark.lsn) {
            Ok(()) => {
                let plan = timeline.plan(timeline.last(), mark.lsn).unwrap();
                for (_, source) in plan.items {
                    if let dbrewind_core::Source::Record(at) = source {
                        assert_eq!(
                            store.read(at).unwrap().body,
                            [u8::try_from(hour % 251).unwrap(); 512],
                            "{what}"
                        );
                    }
                }
            }
            Err(error) => {
                assert_eq!(error.code(), Code::BeforeWindow, "{what}: {hour}");
                assert!(hour < PIN, "{what}: {hour} is pinned, or after what is");
            }
        }
    }
}

fn filled(folder: &Path) -> Store {
    let store = open(folder, HOURS);
    store.set_window(Duration::from_nanos(2 * HOUR));
    let object = store.object(".", 512).unwrap();
    for hour in 0..HOURS {
        record(&store, object, hour);
    }
    store
}

/// Evicts until there is nothing left, or until it is killed.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_evicts() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = open(Path::new(&folder), HOURS);
    while store.evict_some(&|_| true).unwrap() {}
}

/// Records hours, and evicts, for ever.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_that_goes_on() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    loop {
        let store = open(folder, 0);
        let object = store.object("other", 512).unwrap();
        let mut timeline = Timeline::new(object);
        timeline.catch_up(&store).unwrap();
        let hour = timeline.highest().get().max(store.last_lsn(object).get()) / 10 + 1;
        drop(store);
        let store = open(folder, hour);
        record(&store, object, hour);
        store.evict_some(&|_| true).unwrap();
    }
}

fn spawn(what: &str, folder: &Path, extra: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", what, "--ignored"]).env(FOLDER, folder).envs(extra.iter().copied());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// All that the steps in `docs/window.md` are.
#[cfg(feature = "fault")]
const STEPS: [&str; 10] = [
    "evict: one carried",
    "3 evict: one carried",
    "evict: carried",
    "evict: synced",
    "evict: ready",
    "evict: manifest written",
    "evict: manifest in place",
    "evict: announced",
    "evict: a segment removed",
    "2 evict: a segment removed",
];

#[cfg(feature = "fault")]
#[test]
fn hazard_an_evictor_that_is_killed_at_each_step() {
    for (step, reopen) in STEPS.into_iter().flat_map(|step| [(step, true), (step, false)]) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = filled(dir.path());
        check(&store, "before");
        let status =
            spawn("child_that_evicts", dir.path(), &[("DBREWIND_STORE_FAULT", step)]).wait().unwrap();
        assert!(!status.success() && status.code().is_none(), "{step}: {status}");
        check(&store, step);
        if reopen {
            drop(store);
            store = open(dir.path(), HOURS);
            check(&store, step);
        }
        while store.evict_some(&|_| true).unwrap() {}
        check(&store, step);
        assert!(store.first_segment() > 5, "{step}: {}", store.first_segment());
        let files = std::fs::read_dir(dir.path()).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".seg")
        });
        let room = store.room();
        assert!(files.count() < 40 && room.used < 400 << 10, "{step}: {room:?}");
    }
}

#[test]
fn hazard_evictors_killed_at_any_instruction_beside_a_writer_and_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    drop(store);
    let reader = open(dir.path(), HOURS);
    let until = Instant::now() + Duration::from_secs(4);
    let mut round = 0_u64;
    while Instant::now() < until {
        let mut one = spawn("child_that_goes_on", dir.path(), &[]);
        round += 1;
        let end = Instant::now() + Duration::from_millis(20 + round * 37 % 200);
        while Instant::now() < end {
            check(&reader, "beside");
        }
        one.kill().unwrap();
        one.wait().unwrap();
        let fresh = open(dir.path(), HOURS);
        check(&fresh, "after a kill");
        let room = fresh.room();
        assert!(room.used <= room.limit, "{room:?}");
    }
    assert!(round > 5);
}
