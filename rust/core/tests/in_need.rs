//! A full store: what has to be said in it so that it has room again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "functions of a test")]

mod recorded;

use std::sync::Arc;
use std::time::Duration;

use dbrewind_core::{Code, DropBody, Engine, Extent, Kind, Lsn, MarkName, Need, PINNED};
use recorded::{OPTIONS, World, always};

const PATIENCE: Duration = Duration::from_secs(2);

/// Until nothing more goes in, with a pinned mark before all of it.
fn fill(world: &mut World) {
    world.store.keep_window(Arc::new(always));
    world.era();
    world.mark("kept", PINNED);
    for hour in 0..90 {
        world.lsn += 1;
        for _ in 0..40 {
            if world.store.append(world.head(Kind::Before, 1), &[&[7; 512]]).is_err() {
                // To the last byte: nothing fits by chance.
                while world.store.append(world.head(Kind::Note, 1), &[]).is_ok() {}
                return;
            }
        }
        world.commit();
        if hour % 2 == 0 {
            world.era();
        }
        world.later(1);
    }
    panic!("the store is not full");
}

/// More goes in than what was made for the word in need.
fn goes_on(world: &World) {
    for _ in 0..20 {
        world.store.append(world.head(Kind::Note, 1), &[&[5; 3000]]).unwrap();
    }
    assert!(world.store.first_segment() > 1);
    let room = world.store.room();
    assert!(room.used <= room.limit, "{room:?}");
}

fn drop_of(world: &World, name: &str) -> Vec<u8> {
    DropBody { time: world.store.clock().now(), name: MarkName::new(name).unwrap() }.encode()
}

/// What cures a full store has to be said in it.
#[test]
fn a_pin_is_dropped_in_a_full_store_which_then_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    fill(&mut world);
    let body = drop_of(&world, "kept");
    let head = world.head(Kind::Drop, 0);
    assert_eq!(world.store.append(head, &[&body]).unwrap_err().code(), Code::StoreFull);
    world.store.append_in_need(Need::Drop, head, &[&body]).unwrap();
    let room = world.store.room();
    assert!(room.used <= room.limit, "{room:?}");
    world.later(1);
    goes_on(&world);
}

/// Each takes a segment of its own here, since others use up what is left of it.
#[test]
fn hazard_what_is_said_in_need_leaves_nothing_to_evictions() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    fill(&mut world);
    let left = OPTIONS.limit / 16;
    for (need, part) in [(Need::Keep, left / 4), (Need::Drop, left / 2)] {
        let mut taken = 0;
        while world.store.has_room_in_need(need, 100) {
            world.store.append_in_need(need, world.head(Kind::Note, 2), &[&[5; 100]]).unwrap();
            while world.store.append(world.head(Kind::Note, 1), &[]).is_ok() {}
            taken += 1;
        }
        assert!(taken > 1, "{need:?}");
        let refused = world.store.append_in_need(need, world.head(Kind::Note, 2), &[&[5; 100]]);
        assert_eq!(refused.unwrap_err().code(), Code::StoreFull, "{need:?}");
        let used = world.store.room().used;
        assert!(used <= OPTIONS.limit - left + part, "{need:?}: {used}");
    }
}

/// A record that is too long closes the segment that it does not fit into: nothing shorter goes there either.
#[test]
fn hazard_the_rest_of_a_segment_that_is_closed_is_taken_for_room() {
    for need in [Need::Keep, Need::Drop] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::open(dir.path());
        fill(&mut world);
        let append = |len: usize| {
            world.store.append_in_need(need, world.head(Kind::Note, 2), &[vec![5; len].as_slice()])
        };
        while append(2500).is_ok() {}
        for len in [1000, 100, 10] {
            let said = world.store.has_room_in_need(need, len);
            assert_eq!(append(len as usize).is_ok(), said, "{need:?}: {len}");
        }
    }
}

/// All before it is lost: pins keep nothing of it.
#[test]
fn a_history_begins_anew_in_a_full_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    fill(&mut world);
    world.lsn += 1;
    let era = (Engine::Rollback, Lsn::new(world.lsn));
    world.store.append_era(world.object, era, (Extent::new(9), true), &[(1, vec![1; 60])]).unwrap();
    world.later(1);
    goes_on(&world);
    assert!(world.timeline().mark("kept").unwrap().lost);
}

/// Without an era since the mark nothing can go when it is dropped.
#[test]
fn an_era_begins_in_a_full_store_so_that_what_is_before_it_can_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.keep_window(Arc::new(always));
    world.era();
    world.mark("kept", PINNED);
    while world.store.append(world.head(Kind::Before, 1), &[&[7; 512]]).is_ok() {}
    while world.store.append(world.head(Kind::Note, 1), &[]).is_ok() {}
    world.store.append_in_need(Need::Drop, world.head(Kind::Drop, 0), &[&drop_of(&world, "kept")]).unwrap();
    assert!(!world.evict());
    world.lsn += 1;
    let era = (Engine::Rollback, Lsn::new(world.lsn));
    world.store.append_era(world.object, era, (Extent::new(9), false), &[(1, vec![1; 60])]).unwrap();
    world.later(1);
    goes_on(&world);
}

/// What is asked for before it is begun: images, and a word in need behind them.
#[test]
fn room_that_is_said_to_be_there_is() {
    const SAID: u32 = 100;
    let mut answers = [0, 0];
    for filled in [0, 1, 50, 1200, 1500, 1600, 1640, 1680, 1700] {
        for count in [0, 1, 2, 20, 30, 70, 100, 200, 500] {
            let dir = tempfile::tempdir().unwrap();
            let mut world = World::open(dir.path());
            world.store.make_room_by(Arc::new(always));
            world.era();
            world.mark("kept", PINNED);
            for _ in 0..filled {
                let _ = world.store.append(world.head(Kind::Note, 1), &[&[7; 512]]);
            }
            let images = (count, 512);
            let said = world.store.would_have_room(images, (Need::Keep, SAID)).unwrap();
            let image = [5; 512];
            let batch: Vec<_> = (0..count).map(|_| (world.head(Kind::Before, 1), image.as_slice())).collect();
            let word = world.head(Kind::Note, 2);
            let done = world.store.append_batch(&batch).map(drop);
            // A head has 40 bytes.
            let done =
                done.and_then(|()| world.store.append_in_need(Need::Keep, word, &[&[5; SAID as usize - 40]]));
            assert_eq!(said, done.is_ok(), "{count} images behind {filled}: {done:?}");
            answers[usize::from(said)] += 1;
        }
    }
    assert!(answers.iter().all(|count| *count > 10), "{answers:?}");
}

/// Nothing is evicted by who only asks.
#[test]
fn room_that_evictions_would_make_is_said_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.hours(0..44);
    world.store.make_room_by(Arc::new(always));
    let ask = |world: &World, count| world.store.would_have_room((count, 512), (Need::Keep, 100)).unwrap();
    let first = world.store.first_segment();
    assert!(ask(&world, 1200));
    assert!(!ask(&world, 2000), "more than the limit");
    assert_eq!(world.store.first_segment(), first);
    let hold = world.store.hold_window().unwrap();
    // As far as it knows; whoever appends then learns better.
    assert!(ask(&world, 1200));
    drop(hold);
    for _ in 0..1200 {
        world.store.append(world.head(Kind::Before, 1), &[&[5; 512]]).unwrap();
    }
    assert!(world.store.first_segment() > first);
}

/// Before it is needed, and no more than is needed.
#[test]
fn room_is_made_for_what_will_be_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.hours(0..44);
    world.store.make_room_by(Arc::new(always));
    let first = world.store.first_segment();
    world.store.make_room_within(Need::Keep, 100, PATIENCE);
    assert_eq!(world.store.first_segment(), first, "there is room");
    // To the last byte, while nothing may be evicted.
    let hold = world.store.hold_window().unwrap();
    while world.store.append(world.head(Kind::Note, 1), &[&[7; 512]]).is_ok() {}
    while world.store.append_in_need(Need::Keep, world.head(Kind::Note, 1), &[]).is_ok() {}
    world.store.make_room_within(Need::Keep, 100, PATIENCE);
    assert!(!world.store.has_room_in_need(Need::Keep, 60));
    drop(hold);
    world.store.make_room_within(Need::Keep, 100, PATIENCE);
    assert!(world.store.has_room_in_need(Need::Keep, 60));
    assert!(world.store.first_segment() > first);
}
