//! Eviction of what is sealed, for those who read digests of it only: nothing else is said than of what is not sealed.
#![expect(clippy::unwrap_used, reason = "functions of a test")]

mod recorded;

use std::path::Path;
use std::time::Duration;

use dbrewind_core::{Code, Lsn, PINNED, Timeline};
use recorded::{HOUR, World};

fn seal(world: &World) {
    while world.store.seal_some().unwrap().is_some() {}
}

/// A pinned mark that is rewound to, other marks, and an hour for each era; what is too old is evicted on the way.
fn lived(dir: &Path, sealed: bool) -> World {
    let mut world = World::open(dir);
    world.store.set_window(Duration::from_secs(5 * HOUR));
    world.hours(0..1);
    world.era();
    world.mark("base", PINNED);
    let base = world.lsn;
    for hour in 1..14 {
        world.load(15);
        world.mark(&format!("busy {hour}"), 0);
        world.load(25);
        world.rewind(base, 9);
        world.hours(hour..hour + 1);
        if sealed {
            seal(&world);
        }
        world.evict();
    }
    world
}

fn told(timeline: &Timeline) -> Vec<String> {
    let marks = timeline.marks().map(|mark| {
        let reached = timeline.reached_by(mark.lsn);
        format!("{} {} {} {} {reached}", mark.name, mark.lsn, mark.evicted, mark.lost)
    });
    let rewinds = timeline.rewinds().iter().map(|rewind| format!("{rewind:?}"));
    let mut told: Vec<_> =
        marks.chain(rewinds).chain([format!("{:?} {}", timeline.earliest(), timeline.last())]).collect();
    // Who has read a mark's copy only lists it where that stands.
    told.sort();
    told
}

fn same(lazy: &mut Timeline, full: &Timeline, world: &World) {
    assert_eq!(told(lazy), told(full));
    for lsn in (0..=world.lsn + 1).map(Lsn::new) {
        lazy.read_back(&world.store, lsn).unwrap();
        assert_eq!(lazy.plan(lazy.last(), lsn), full.plan(full.last(), lsn), "{lsn}");
        assert_eq!(
            (lazy.reachable(lsn), lazy.time_of(lsn)),
            (full.reachable(lsn), full.time_of(lsn)),
            "{lsn}"
        );
    }
    assert_eq!(told(lazy), told(full));
}

/// The same is evicted, and the same is carried forward, a mark that is reached through rewinds to it among them.
#[test]
fn what_goes_and_what_stays_does_not_depend_on_whether_it_is_sealed() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [raw, sealed] = [lived(dirs[0].path(), false), lived(dirs[1].path(), true)];
    assert!(raw.store.first_segment() > 3);
    assert_eq!(raw.store.first_segment(), sealed.store.first_segment());
    assert_eq!(raw.lsn, sealed.lsn);
    let full = sealed.timeline();
    assert_eq!(told(&raw.timeline()), told(&full));
    let base = full.mark("base").unwrap();
    assert!(!base.evicted && full.reached_by(base.lsn) > base.lsn, "{base:?}");
    let mut lazy = Timeline::lazy(sealed.object);
    lazy.catch_up(&sealed.store).unwrap();
    let early = Lsn::new(full.earliest().unwrap().0.get() + 1);
    assert!(lazy.lacks(lazy.last(), early), "it read everything");
    same(&mut lazy, &full, &sealed);
}

#[test]
fn hazard_what_digests_told_is_evicted_before_more_of_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path());
    world.store.set_window(Duration::from_secs(5 * HOUR));
    world.hours(0..12);
    seal(&world);
    let lazily = || {
        let mut timeline = Timeline::lazy(world.object);
        timeline.catch_up(&world.store).unwrap();
        timeline
    };
    let (early, mut at_once, behind) = (lazily(), lazily(), Timeline::lazy(world.object));
    let gone = early.marks().next().unwrap().lsn;
    early.reachable(gone).unwrap();
    assert!(world.evict());
    let full = world.timeline();
    // Without catching up first.
    at_once.read_back(&world.store, gone).unwrap();
    at_once.catch_up(&world.store).unwrap();
    assert_eq!(at_once.reachable(gone).unwrap_err().code(), Code::BeforeWindow);
    for mut timeline in [early, at_once, behind] {
        timeline.catch_up(&world.store).unwrap();
        assert_eq!(timeline.reachable(gone).unwrap_err().code(), Code::BeforeWindow);
        same(&mut timeline, &full, &world);
    }
}
