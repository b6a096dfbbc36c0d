//! What an eviction carries forward has to have room where there is none: in what is left to evictions.
#![allow(clippy::unwrap_used, reason = "functions of a test")]

mod recorded;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use dbrewind_core::{Code, PINNED};
use recorded::{HOUR, World, always};

/// A name as long as they may be.
fn long(number: u64) -> String {
    format!("{number:0255}")
}

/// An era with these marks, and more than a segment of images.
fn an_hour(world: &mut World, marks: Range<u64>) {
    world.era();
    marks.for_each(|number| world.mark(&long(number), 0));
    world.load(40);
    world.later(1);
}

/// Nothing is pinned, so that nothing may stop.
#[test]
fn hazard_more_is_carried_than_is_left_to_evictions() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.keep_window(Arc::new(always));
    for hour in 0..200 {
        an_hour(&mut world, 30 * hour..30 * (hour + 1));
        let room = world.store.room();
        assert!(room.used <= room.limit, "{hour}: {room:?}");
    }
    assert!(world.store.first_segment() > 1);
    let timeline = world.timeline();
    let kept = timeline.marks().filter(|mark| !mark.evicted && !mark.lost);
    let kept: Vec<u64> = kept.map(|mark| mark.name.as_str().parse().unwrap()).collect();
    assert!(kept.len() > 30 * 5, "{kept:?}");
    // Of those that cannot be reached some are left out: which depends on when the thread came by.
    assert_eq!(kept, (kept[0]..6000).collect::<Vec<_>>());
}

/// A name as short as they are.
fn short(number: u64) -> String {
    number.to_string()
}

/// The newest ones, without a gap.
#[test]
fn evicted_marks_stay_listed_as_far_as_there_is_room_for_them() {
    // Of names of 255 bytes and of short ones: in a store of 1 MiB, and in one that has room for a thousand.
    let small = 1 << 20;
    let large = 64 << 20;
    for (is_long, limit, expected) in [
        (true, small, 85..=90),
        (false, small, 440..=450),
        (true, large, 1000..=1000),
        (false, large, 1000..=1000),
    ] {
        let name = if is_long { long } else { short };
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::open(dir.path());
        world.store.set_limit(limit);
        world.store.set_window(Duration::from_secs(2 * HOUR));
        world.era();
        (0..1200).for_each(|number| world.mark(&name(number), 0));
        // What was carried once is carried again.
        for hour in 0..8 {
            world.load(40);
            world.era();
            world.later(1);
            assert_eq!(world.evict(), hour > 1, "{hour}");
        }
        let timeline = world.timeline();
        assert!(timeline.marks().all(|mark| mark.evicted && !mark.lost));
        let listed: Vec<u64> = timeline.marks().map(|mark| mark.name.as_str().parse().unwrap()).collect();
        assert_eq!(listed, (1200 - listed.len() as u64..1200).collect::<Vec<_>>());
        assert!(expected.contains(&listed.len()), "{limit}: {} are listed", listed.len());
    }
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

/// Who reads the log from what an eviction has left meets the copies of older marks behind newer marks.
#[test]
fn hazard_the_newest_mark_is_not_the_last_one_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    for hour in 0..120 {
        an_hour(&mut world, 3 * hour..3 * (hour + 1));
        while world.evict() {}
        let timeline = world.timeline();
        let listed: Vec<u64> = timeline.marks().map(|mark| mark.name.as_str().parse().unwrap()).collect();
        assert!(listed.is_sorted(), "{hour}: {listed:?}");
        assert_eq!(listed.last(), Some(&(3 * hour + 2)));
    }
    assert!(world.store.first_segment() > 1);
    assert!(world.timeline().marks().any(|mark| mark.evicted));
}
