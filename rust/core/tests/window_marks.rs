//! Marks under evictions: which are carried forward, and from what.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod forge;
mod recorded;

use std::os::unix::fs::FileExt;
use std::time::Duration;

use dbrewind_core::{
    Clock, Code, DropBody, Engine, EraBody, Extent, Head, Key, Kind, Lsn, MarkBody, MarkName, PINNED, Store,
    Timeline, Timestamp,
};
use recorded::{HOUR, OPTIONS, World, always};

/// Whoever knew the mark, and whoever reads the log only now, and that over several evictions.
#[test]
fn a_mark_that_is_rewound_to_again_and_again_keeps_nothing_and_is_never_lost() {
    for flags in [0, PINNED] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::open(dir.path());
        world.era();
        world.mark("base", flags);
        let base = world.lsn;
        let mut early = world.timeline();
        let (mut to, mut seen) = (base, 0);
        for round in 0..300 {
            world.load(20);
            world.rewind(to, 20);
            if round % 5 == 4 {
                world.era();
                world.later(1);
                world.evict();
            }
            let room = world.store.room();
            assert!(room.used <= room.limit, "{room:?}");
            early.catch_up(&world.store).unwrap();
            let late = world.timeline();
            for timeline in [&early, &late] {
                let mark = timeline.mark("base").unwrap();
                assert_eq!((mark.lsn.get(), mark.pinned, mark.evicted), (base, flags != 0, false), "{round}");
                let reached = timeline.reached_by(mark.lsn);
                timeline.reachable(reached).unwrap();
            }
            // As an adapter names it.
            to = early.reached_by(Lsn::new(base)).get();
            assert_eq!(to, late.reached_by(Lsn::new(base)).get());
            seen += u64::from(to != base);
        }
        assert!(world.store.first_segment() > 100 && seen > 200, "{} {seen}", world.store.first_segment());
        let pins = world.store.window(world.object, &always).unwrap().pins;
        assert_eq!(pins.len(), usize::from(flags != 0));
        assert!(pins.iter().all(|pin| pin.bytes < 200 << 10 && pin.lsn.get() == base), "{pins:?}");
        drop(world.store);
        let store = Store::open(dir.path(), &OPTIONS).unwrap();
        let mut timeline = Timeline::new(world.object);
        timeline.catch_up(&store).unwrap();
        assert_eq!(timeline.reached_by(Lsn::new(base)).get(), to);
    }
}

/// What was interrupted once does not make what is evicted later a loss: the answer says what would have kept it.
#[test]
fn hazard_a_mark_set_after_an_interruption_is_evicted() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.era();
    world.mark("lost", 0);
    let lost = world.lsn;
    world.load(20);
    world.lsn += 1;
    let time = world.store.next_time(world.object);
    let body = EraBody { time, extent: Extent::new(9), broken: true };
    world.store.append(world.head(Kind::Era, Engine::Rollback.key().get()), &[&body.encode()]).unwrap();
    world.mark("evicted", 0);
    let evicted = world.lsn;
    let mut early = world.timeline();
    world.hours(0..12);
    early.catch_up(&world.store).unwrap();
    world.store.set_window(Duration::from_secs(2 * HOUR));
    world.evict();
    early.catch_up(&world.store).unwrap();
    for timeline in [&early, &world.timeline()] {
        let mark = timeline.mark("evicted").unwrap();
        assert!(mark.evicted && !mark.lost, "{mark:?}");
        assert_eq!(timeline.reachable(Lsn::new(evicted)).unwrap_err().code(), Code::BeforeWindow);
    }
    assert!(early.mark("lost").unwrap().lost);
    assert_eq!(early.reachable(Lsn::new(lost)).unwrap_err().code(), Code::MarkLost);
}

/// What may go is decided, then somebody comes back to a mark in it, then it goes.
#[test]
fn hazard_a_mark_is_rewound_to_between_the_preparing_and_the_eviction() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.hours(0..12);
    world.evict();
    assert_eq!(world.store.first_segment(), 1);
    let early = world.timeline();
    let old = early.mark("hour 2").unwrap().lsn;
    world.rewind(old.get(), 20);
    let rewind = world.lsn;
    for _ in 0..85 {
        world.load(20);
    }
    assert!(world.store.first_segment() > 8, "{}", world.store.first_segment());
    let mut early = early;
    early.catch_up(&world.store).unwrap();
    for timeline in [&early, &world.timeline()] {
        assert!(timeline.mark("hour 1").unwrap().evicted);
        assert!(!timeline.mark("hour 2").unwrap().evicted);
        assert_eq!(timeline.reached_by(old).get(), rewind);
    }
}

#[test]
fn hazard_a_pinned_mark_with_more_than_a_thousand_newer_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.era();
    world.mark("base", PINNED);
    let base = world.lsn;
    world.load(1);
    for n in 0..2500 {
        world.mark(&format!("n {n}"), 0);
    }
    world.rewind(base, 1);
    world.era();
    world.later(100);
    world.store.set_window(Duration::from_secs(HOUR));
    assert!(world.evict());
    let timeline = world.timeline();
    assert!(timeline.mark("base").is_some_and(|mark| !mark.evicted && mark.pinned));
    assert!(timeline.mark("n 0").is_none() && timeline.mark("n 2499").is_some());
}

/// Between the look at the marks and the copy of one, somebody drops it and sets another one of that name.
#[test]
fn hazard_a_mark_dropped_while_it_is_carried_forward() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(2 * HOUR));
    world.hours(0..6);
    let body = DropBody { time: Timestamp::new(1), name: MarkName::new("hour 1").unwrap() };
    world.store.append(world.head(Kind::Drop, 0), &[&body.encode()]).unwrap();
    let mark =
        MarkBody { time: Timestamp::new(1), extent: Extent::new(9), name: body.name.clone(), note: &[] };
    let copy = Head { flags: PINNED, ..Head::new(Kind::Mark, world.object, Key::new(1), Lsn::new(3)) };
    world.store.append(copy, &[&mark.encode()]).unwrap();
    let mut early = world.timeline();
    assert!(early.mark("hour 1").is_none(), "the name is free");
    world.era();
    world.mark("hour 1", 0);
    let anew = world.lsn;
    world.load(40);
    world.later(1);
    assert!(world.store.window(world.object, &always).unwrap().pins.is_empty());
    assert!(world.evict());
    early.catch_up(&world.store).unwrap();
    for timeline in [&early, &world.timeline()] {
        let found = timeline.mark("hour 1").unwrap();
        assert_eq!((found.lsn.get(), found.evicted, found.pinned), (anew, false, false));
        timeline.reachable(found.lsn).unwrap();
    }
}

impl World {
    fn drop_mark(&self, name: &str) {
        let body = DropBody { time: Timestamp::new(1), name: MarkName::new(name).unwrap() };
        let _names = self.store.lock_names().unwrap();
        self.store.append(self.head(Kind::Drop, 0), &[&body.encode()]).unwrap();
    }
}

/// Whoever asks whether the object is there does so after the first look at the log, and before anything is carried.
#[test]
fn hazard_a_mark_dropped_and_an_object_renamed_after_the_evictors_look() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(2 * HOUR));
    world.hours(0..9);
    let once = std::cell::Cell::new(true);
    let evicted = world.store.evict_some(&|_| {
        if once.replace(false) {
            world.drop_mark("hour 1");
            world.store.rename_object(world.object, "new").unwrap();
        }
        true
    });
    assert!(evicted.unwrap());
    assert!(world.store.first_segment() > 1);
    let clock = Clock::Manual(world.clock.clone());
    for store in [world.store.clone(), Store::open_by(dir.path(), &OPTIONS, clock).unwrap()] {
        assert_eq!(store.objects().unwrap(), [(world.object, "new".to_owned())]);
        let mut timeline = Timeline::new(world.object);
        timeline.catch_up(&store).unwrap();
        assert!(timeline.mark("hour 1").is_none());
        assert!(timeline.mark("hour 0").is_some_and(|mark| mark.evicted));
    }
}

/// A record in flight hides what is behind it: nothing is prepared until it is there.
#[test]
fn hazard_a_writer_stopped_before_a_drop() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(2 * HOUR));
    let slow = Store::open(dir.path(), &OPTIONS).unwrap();
    world.hours(0..9);
    let at = world.store.append(world.head(Kind::Note, 9), &[]).unwrap();
    let mut generation = [0; 4];
    let control = std::fs::File::open(dir.path().join("control")).unwrap();
    // Of the second writer slot.
    control.read_exact_at(&mut generation, 4096 + 16).unwrap();
    let generation = u16::try_from(u32::from_le_bytes(generation) & 0xfff).unwrap();
    let segment = u32::try_from(at.segment().get()).unwrap();
    forge::reserve(dir.path(), (1, generation), segment, at.offset() + 40, 24).unwrap();
    world.drop_mark("hour 1");
    assert!(world.timeline().mark("hour 1").is_some(), "nobody can see that it was dropped");
    assert!(!world.evict(), "somebody is in the midst of a record");
    drop(slow);
    assert!(world.evict());
    assert!(world.timeline().mark("hour 1").is_none());
}

/// A mark whose original is gone is carried again and again, and so are the name of its object and its pin, which an object
/// that is not there (it was moved, perhaps) keeps no room for.
#[test]
fn hazard_a_second_eviction_of_what_the_first_carried_forward() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(2 * HOUR));
    let live = std::mem::replace(&mut world.object, world.store.object("moved", 512).unwrap());
    let moved = world.object;
    world.era();
    world.mark("kept", PINNED);
    world.mark("plain", 0);
    world.load(40);
    world.object = live;
    let hours = 24;
    for hour in (0..hours).step_by(6) {
        world.hours(hour..hour + 6);
        // Each time all at once, and what was carried forward before is evicted in turn.
        assert!(world.store.evict_some(&|name| name != "moved").unwrap(), "{hour}");
    }
    let listed = |store: &Store, object| {
        let mut timeline = Timeline::new(object);
        timeline.catch_up(store).unwrap();
        let marks = timeline.marks().map(|mark| (mark.name.to_string(), mark.evicted, mark.pinned));
        marks.collect::<Vec<_>>()
    };
    let clock = Clock::Manual(world.clock.clone());
    for store in [world.store.clone(), Store::open_by(dir.path(), &OPTIONS, clock).unwrap()] {
        assert_eq!(
            listed(&store, moved),
            [("kept".to_owned(), true, true), ("plain".to_owned(), true, false)]
        );
        assert_eq!(store.object("moved", 512).unwrap(), moved);
        assert_eq!(listed(&store, live).len() as u64, hours, "every hour is listed");
    }
}
