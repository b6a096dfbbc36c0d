//! Eviction: what goes, what stays, and who may be in the midst of something then.

mod recorded;

use std::sync::Arc;
use std::time::Duration;

use dbrewind_core::{
    Clock, Code, Cursor, DropBody, Kind, Location, Lsn, MarkName, PINNED, Store, Timeline, Timestamp,
    WindowState,
};
use recorded::{HOUR, OPTIONS, World, always};

#[test]
fn what_is_older_than_the_target_goes_and_what_is_younger_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(5 * HOUR));
    let mut early = world.timeline();
    world.hours(0..12);
    early.catch_up(&world.store).unwrap();
    assert_eq!(early.marks().filter(|mark| mark.evicted).count(), 0);
    assert!(world.evict());
    assert!(world.store.first_segment() > 1);
    early.catch_up(&world.store).unwrap();
    let fresh = world.timeline();
    for timeline in [&early, &fresh] {
        let evicted: Vec<_> = timeline.marks().filter(|mark| mark.evicted).collect();
        let kept: Vec<_> = timeline.marks().filter(|mark| !mark.evicted).collect();
        assert!((6..=7).contains(&evicted.len()), "{}", evicted.len());
        for mark in kept {
            timeline.reachable(mark.lsn).unwrap();
        }
        for mark in evicted {
            assert_eq!(timeline.reachable(mark.lsn).unwrap_err().code(), Code::BeforeWindow);
        }
        assert_eq!(timeline.marks().count(), 12);
        assert!(timeline.marks().all(|mark| !mark.lost));
    }
    let window = world.store.window(world.object, &always).unwrap();
    assert_eq!(window.state, WindowState::Ok);
    assert!(window.actual >= window.target && window.actual < window.target + Duration::from_secs(2 * HOUR));
    assert_eq!(window.earliest.unwrap().0, fresh.earliest().unwrap().0);
}

#[test]
fn a_store_that_was_cut_opens_again_also_without_its_control_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(5 * HOUR));
    let other = world.store.object("other", 512).unwrap();
    world.hours(0..12);
    // An object without a history of its own keeps nothing.
    assert!(world.evict());
    let (first, before) = (world.store.first_segment(), names(&world.timeline()));
    let clock = Clock::Manual(world.clock.clone());
    drop(world.store);
    for control in [true, false] {
        if !control {
            std::fs::remove_file(dir.path().join("control")).unwrap();
        }
        let store = Store::open_by(dir.path(), &OPTIONS, clock.clone()).unwrap();
        assert_eq!(store.first_segment(), first);
        assert_eq!(
            (store.object(".", 512).unwrap(), store.object("other", 512).unwrap()),
            (world.object, other)
        );
        let mut timeline = Timeline::new(world.object);
        timeline.catch_up(&store).unwrap();
        assert_eq!(names(&timeline), before);
        assert_eq!(store.last_lsn(world.object).get(), world.lsn);
    }
    std::fs::remove_file(dir.path().join("window")).unwrap();
    let error = Store::open_by(dir.path(), &OPTIONS, clock).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged, "{error}");
}

fn names(timeline: &Timeline) -> Vec<(String, u64, bool)> {
    let mut names: Vec<_> =
        timeline.marks().map(|mark| (mark.name.to_string(), mark.lsn.get(), mark.evicted)).collect();
    names.sort();
    names
}

#[test]
fn without_room_the_oldest_goes_and_the_limit_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    for hour in 0..60 {
        world.hours(hour..hour + 1);
        world.evict();
        let room = world.store.room();
        assert!(room.used <= room.limit, "{room:?}");
    }
    assert!(world.store.first_segment() > 1);
    let window = world.store.window(world.object, &always).unwrap();
    assert_eq!(window.state, WindowState::Alert);
    assert!(window.actual > Duration::from_secs(10 * HOUR) && window.actual < window.target);
    let forecast = window.forecast.unwrap().as_secs() / HOUR;
    assert!((10..80).contains(&forecast), "{forecast} h");
}

/// Nobody evicts in the background: whoever needs a segment takes away what was prepared.
#[test]
fn who_rolls_to_a_new_segment_makes_room_himself() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.hours(0..20);
    world.evict();
    let first = world.store.first_segment();
    world.era();
    world.later(1);
    world.evict();
    for _ in 0..35 {
        world.load(40);
    }
    assert!(world.store.first_segment() > first);
    assert!(world.store.room().used <= OPTIONS.limit);
    world.timeline();
}

#[test]
fn hazard_an_eviction_that_fails_does_not_fail_an_append_that_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.hours(0..20);
    world.era();
    world.later(1);
    world.evict();
    // Nobody can write down where the log begins.
    std::fs::create_dir(dir.path().join("window.tmp")).unwrap();
    world.lsn += 1;
    let full = loop {
        if let Err(error) = world.store.append(world.head(Kind::Before, 1), &[&[7; 512]]) {
            break error;
        }
    };
    assert_eq!(full.code(), Code::StoreFull, "{full}");
    let room = world.store.room();
    assert!(room.limit - room.used < room.limit / 16 + 4096, "{room:?}");
    std::fs::remove_dir(dir.path().join("window.tmp")).unwrap();
    world.load(40);
    assert!(world.store.first_segment() > 1);
}

#[test]
fn hazard_a_segment_that_cannot_be_removed_keeps_no_other_from_going() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.hours(0..20);
    let stays = dir.path().join("0000000000000001.seg");
    std::fs::remove_file(&stays).unwrap();
    std::fs::create_dir(&stays).unwrap();
    world.store.set_window(Duration::from_secs(9 * HOUR));
    let error = world.store.evict_some(&always).unwrap_err();
    assert_eq!(error.code(), Code::Io, "{error}");
    let first = world.store.first_segment();
    assert!(first > 3);
    for gone in 2..first {
        assert!(!dir.path().join(format!("{gone:016x}.seg")).exists(), "{gone}");
    }
    world.timeline();
}

/// Of a store that is refused nothing is removed.
#[test]
fn hazard_the_file_that_says_where_the_log_begins_is_not_this_stores_or_names_what_is_not_there() {
    let [mine, other] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let cut = |dir: &std::path::Path, hours: u64| {
        let mut world = World::open(dir);
        world.store.set_window(Duration::from_secs(2 * HOUR));
        world.hours(0..hours);
        assert!(world.evict());
        world.store.first_segment()
    };
    assert!(cut(other.path(), 6) > 2);
    let mut world = World::open(mine.path());
    world.hours(0..3);
    let last = world.store.room();
    drop(world);
    let names = || {
        let listed = std::fs::read_dir(mine.path()).unwrap();
        let mut names: Vec<_> = listed.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    std::fs::copy(other.path().join("window"), mine.path().join("window")).unwrap();
    let before = names();
    let error = Store::open(mine.path(), &OPTIONS).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged, "{error}");
    assert_eq!(names(), before);
    std::fs::remove_file(mine.path().join("window")).unwrap();
    assert_eq!(Store::open(mine.path(), &OPTIONS).unwrap().room().used, last.used);
}

#[test]
fn a_pinned_mark_keeps_its_era_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(2 * HOUR));
    world.hours(0..3);
    world.mark("kept", PINNED);
    let kept = world.lsn;
    world.hours(3..12);
    world.evict();
    let timeline = world.timeline();
    timeline.reachable(timeline.reached_by(Lsn::new(kept))).unwrap();
    assert!(timeline.mark("kept").unwrap().pinned);
    assert!(timeline.mark("hour 1").unwrap().evicted);
    assert!(!timeline.mark("hour 3").unwrap().evicted, "what comes after a pin stays, too");
    let window = world.store.window(world.object, &always).unwrap();
    assert_eq!(window.pins.len(), 1);
    assert!(window.pins[0].bytes > 8 * 40 * 512 && window.pins[0].bytes < window.room.used);
    let body = DropBody { time: Timestamp::new(1), name: MarkName::new("kept").unwrap() };
    world.store.append(world.head(Kind::Drop, 0), &[&body.encode()]).unwrap();
    assert!(world.evict());
    assert_eq!(world.timeline().reachable(Lsn::new(kept)).unwrap_err().code(), Code::BeforeWindow);
}

/// Faster than the thread looks.
#[test]
fn an_append_that_finds_no_room_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.keep_window(Arc::new(always));
    for hour in 0..200 {
        world.hours(hour..hour + 1);
        let room = world.store.room();
        assert!(room.used <= room.limit, "{room:?}");
    }
    assert!(world.store.first_segment() > 1);
    assert_eq!(world.timeline().marks().count(), 200);
}

#[test]
fn pins_alone_fill_a_store_which_then_stops_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.era();
    world.mark("kept", PINNED);
    let full = loop {
        world.lsn += 1;
        world.later(1);
        world.evict();
        if let Err(error) = world.store.append(world.head(Kind::Before, 1), &[&[7; 512]]) {
            break error;
        }
        if world.lsn.is_multiple_of(40) {
            world.commit();
            world.era();
        }
    };
    assert_eq!(full.code(), Code::StoreFull);
    assert_eq!(world.store.first_segment(), 1);
    let window = world.store.window(world.object, &always).unwrap();
    assert_eq!(window.state, WindowState::Full);
    world.timeline().reachable(Lsn::new(1)).unwrap();
}

#[test]
fn hazard_a_reader_and_a_place_from_before_an_eviction() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(HOUR));
    world.hours(0..2);
    let clock = Clock::Manual(world.clock.clone());
    let reader = Store::open_by(dir.path(), &OPTIONS, clock).unwrap();
    let mut places: Vec<Location> = Vec::new();
    let mut cursor = Cursor::default();
    reader.scan(&mut cursor, &mut |_, at, _| places.push(at)).unwrap();
    world.hours(2..9);
    let hold = reader.hold_window().unwrap();
    assert!(!world.evict(), "somebody reads");
    drop(hold);
    assert!(world.evict());
    // The mapping is there as long as nobody lets go of it; then the place is none.
    reader.read(places[3]).unwrap();
    let mut seen = 0;
    reader.scan(&mut cursor, &mut |_, _, _| seen += 1).unwrap();
    assert!(seen > 40, "the cursor goes on where the log begins");
    let error = reader.read(places[3]).unwrap_err();
    assert_eq!(error.code(), Code::BeforeWindow, "{error}");
    // What it appends is where everybody looks.
    let at = reader.append(world.head(Kind::Before, 1), &[b"late"]).unwrap();
    assert_eq!(world.store.read(at).unwrap().body, b"late");
}

#[test]
fn a_history_whose_object_is_gone_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(HOUR));
    let live = std::mem::replace(&mut world.object, world.store.object("gone", 512).unwrap());
    world.hours(0..2);
    world.object = live;
    world.hours(2..9);
    world.evict();
    let first = world.store.first_segment();
    assert!(!world.evict(), "its newest era is the beginning now");
    assert!(world.store.evict_some(&|name| name != "gone").unwrap());
    assert!(world.store.first_segment() > first + 3);
}

#[test]
fn a_history_whose_object_is_gone_stays_for_the_target() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(9 * HOUR));
    let live = std::mem::replace(&mut world.object, world.store.object("moved", 512).unwrap());
    world.hours(0..2);
    world.object = live;
    world.hours(2..8);
    let evict = |world: &World| world.store.evict_some(&|name| name != "moved").unwrap();
    assert!(!evict(&world), "it may come back");
    world.hours(8..14);
    assert!(evict(&world));
}

/// An eviction takes of the sixteenth that is left to it what it needs, so that the next one finds the rest.
#[test]
fn hazard_others_use_up_what_is_left_to_evictions() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.keep_window(Arc::new(always));
    let hold = world.store.hold_window().unwrap();
    world.era();
    (0..100).for_each(|number| world.mark(&format!("{number:0>40}"), 0));
    world.hours(0..9);
    let fill = || while world.store.append(world.head(Kind::Note, 1), &[&[5; 3000]]).is_ok() {};
    fill();
    let ordinary = OPTIONS.limit - OPTIONS.limit / 16;
    for _ in 0..3 {
        assert!(!world.evict(), "somebody reads");
        fill();
        let used = world.store.room().used;
        assert!(used <= ordinary + (16 << 10), "{used} of {ordinary}");
    }
    drop(hold);
    world.store.append(world.head(Kind::Note, 1), &[&[5; 3000]]).unwrap();
    assert!(world.store.first_segment() > 1);
}

#[test]
fn in_the_background() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(HOUR));
    world.store.keep_window(Arc::new(always));
    world.hours(0..9);
    let started = std::time::Instant::now();
    while world.store.first_segment() == 1 {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    world.timeline();
}
