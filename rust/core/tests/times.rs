//! Times of moments only grow.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::collections::BTreeSet;

use dbrewind_core::{
    Clock, CommitBody, Engine, EraBody, Extent, Head, Key, Kind, Lsn, ManualClock, Store, StoreOptions,
    Timeline, Timestamp,
};

fn open(folder: &std::path::Path, clock: &ManualClock) -> Store {
    Store::open_by(folder, &StoreOptions::default(), Clock::Manual(clock.clone())).unwrap()
}

#[test]
fn no_two_threads_get_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::new(1_000));
    // Two handles, as in two processes.
    let stores = [open(dir.path(), &clock), open(dir.path(), &clock)];
    let object = stores[0].object("a", 4096).unwrap();
    let taken: Vec<Vec<Timestamp>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|number| {
                let store = stores[number % 2].clone();
                scope.spawn(move || (0..2_000).map(|_| store.next_time(object)).collect())
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(taken.iter().all(|times| times.is_sorted_by(|a, b| a < b)));
    let all: BTreeSet<Timestamp> = taken.into_iter().flatten().collect();
    assert_eq!((all.len(), all.first().copied()), (8_000, Some(Timestamp::new(1_000))));
    assert_eq!(stores[0].time(object), Timestamp::new(8_999));
}

#[test]
fn what_the_control_file_has_lost_the_log_tells() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::new(1_000));
    let object = {
        let store = open(dir.path(), &clock);
        let object = store.object("a", 4096).unwrap();
        let (time, extent) = (store.next_time(object), Extent::new(1));
        let head = Head::new(Kind::Era, object, Engine::Wal.key(), Lsn::new(1));
        store.append(head, &[&EraBody { time, extent, broken: true }.encode()]).unwrap();
        let body = CommitBody { time: store.next_time(object), extent };
        store.append(Head::new(Kind::Commit, object, Key::new(0), Lsn::new(2)), &[&body.encode()]).unwrap();
        object
    };
    std::fs::remove_file(dir.path().join("control")).unwrap();
    clock.set(Timestamp::new(10));
    let store = open(dir.path(), &clock);
    assert_eq!(store.time(object), Timestamp::new(10), "nobody has read the log");
    Timeline::new(object).catch_up(&store).unwrap();
    assert_eq!(store.next_time(object), Timestamp::new(1_002));
}
