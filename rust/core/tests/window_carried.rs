//! What an eviction carries forward has to have room where there is none: in what is left to evictions.
#![allow(clippy::unwrap_used, reason = "functions of a test")]

mod recorded;

use std::sync::Arc;

use dbrewind_core::{Code, PINNED};
use recorded::{World, always};

/// A name as long as they may be.
fn long(number: u64) -> String {
    format!("{number:0255}")
}

/// Nothing is pinned, so that nothing may stop.
#[test]
fn hazard_more_is_carried_than_is_left_to_evictions() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.keep_window(Arc::new(always));
    for hour in 0..200 {
        world.era();
        for number in 0..30 {
            world.mark(&long(30 * hour + number), 0);
        }
        world.load(40);
        world.later(1);
        let room = world.store.room();
        assert!(room.used <= room.limit, "{hour}: {room:?}");
    }
    assert!(world.store.first_segment() > 1);
    let timeline = world.timeline();
    let evicted: Vec<_> = timeline.marks().filter(|mark| mark.evicted).collect();
    let kept = timeline.marks().filter(|mark| !mark.evicted).count();
    // The newest ones of both.
    assert!(evicted.len() > 20 && kept > 30 * 5, "{} {kept}", evicted.len());
    let oldest: u64 = timeline.marks().next().unwrap().name.as_str().parse().unwrap();
    assert_eq!(timeline.marks().count() as u64, 6000 - oldest, "none is left out");
}

/// However many there are: what a pin promises holds, or the store says that it is full.
#[test]
fn hazard_more_pinned_marks_than_are_carried() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.era();
    for number in 0..1200 {
        world.mark(&format!("{number}"), PINNED);
    }
    let mut to = world.lsn;
    let check = |world: &World, round: u64| {
        let timeline = world.timeline();
        let kept = timeline.marks().filter(|mark| mark.pinned && !mark.evicted && !mark.lost).count();
        assert_eq!(kept, 1200, "{round}");
    };
    for round in 0..60 {
        world.load(20);
        world.rewind(to, 20);
        to = world.lsn;
        world.era();
        world.later(1);
        match world.store.evict_some(&always) {
            Ok(_) => check(&world, round),
            Err(error) => {
                assert_eq!(error.code(), Code::StoreFull, "{error}");
                check(&world, round);
                return;
            }
        }
    }
    assert!(world.store.first_segment() > 1);
}
