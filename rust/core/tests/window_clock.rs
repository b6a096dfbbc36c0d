//! Eviction when somebody sets the clock: ages are those of the time that has passed.

mod recorded;

use std::time::Duration;

use dbrewind_core::{Clock, Kind, Store, Timestamp, WindowState};
use recorded::{HOUR, OPTIONS, World, always};

fn hours(hours: u64) -> u64 {
    hours * HOUR * 1_000_000_000
}

#[test]
fn hazard_a_clock_that_is_set_back_does_not_fill_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.hours(0..3);
    world.evict();
    world.clock.set(Timestamp::new(world.clock.now().get() - hours(10_000)));
    for hour in 3..80 {
        world.hours(hour..hour + 1);
        world.evict();
        let room = world.store.room();
        assert!(room.used <= room.limit, "{room:?}");
    }
    assert!(world.store.first_segment() > 1);
    world.timeline();
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_what_is_older_than_the_target() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(5 * HOUR));
    for hour in 0..12 {
        world.hours(hour..hour + 1);
        world.evict();
        if hour == 3 {
            world.clock.set(Timestamp::new(world.clock.now().get() - hours(100)));
        }
    }
    let timeline = world.timeline();
    let evicted = timeline.marks().filter(|mark| mark.evicted).count();
    assert!((5..=7).contains(&evicted), "{evicted}");
}

#[test]
fn hazard_a_clock_far_ahead_evicts_nothing_too_early() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(9 * HOUR));
    world.hours(0..3);
    world.evict();
    let right = world.clock.now();
    world.clock.set(Timestamp::new(right.get() + hours(10_000)));
    assert!(!world.evict());
    world.hours(3..5);
    assert!(!world.evict());
    // Who opens the store now has no other clock either.
    let clock = Clock::Manual(world.clock.clone());
    drop(world.store);
    world.store = Store::open_by(dir.path(), &OPTIONS, clock).unwrap();
    assert!(!world.evict());
    world.timeline().reachable(world.timeline().mark("hour 0").unwrap().lsn).unwrap();
    world.clock.set(Timestamp::new(right.get() + hours(2)));
    for hour in 5..16 {
        world.hours(hour..hour + 1);
        world.evict();
    }
    let timeline = world.timeline();
    let evicted = |name: &str| timeline.mark(name).unwrap().evicted;
    assert!(evicted("hour 0") && evicted("hour 4"), "the time that has passed since counts");
    assert!(!evicted("hour 8"));
}

/// The clock shows the same time for two eras; the second one's is a nanosecond later then, and its age counts from the first look.
#[test]
fn hazard_an_era_is_as_old_as_the_target_and_its_time_a_nanosecond_younger() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    let target = Duration::from_secs(5 * HOUR);
    world.store.set_window(target);
    world.era();
    for page in 0..40 {
        world.store.append(world.head(Kind::Before, 1 + page % 9), &[&[7; 512]]).unwrap();
    }
    world.era();
    assert!(!world.evict(), "nothing is old yet");
    world.clock.advance(target);
    let window = |world: &World| world.store.window(world.object, &always).unwrap();
    for later in [0, 1, 2] {
        world.load(40);
        let evicted = world.evict();
        assert_eq!(evicted, later == 1, "{later}");
        let window = window(&world);
        assert_eq!(window.state, WindowState::Ok, "{later}: {:?}", window.actual);
        assert!(window.actual >= target, "{later}");
        world.clock.advance(Duration::from_nanos(1));
    }
}
