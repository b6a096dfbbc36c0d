//! A timeline that read digests says what one says that read everything, or that it has to read on.

use proptest::prelude::*;

use super::model::{KEYS, Step, engine, step, take};
use super::world::World;
use crate::seal::{Found, choose};
use crate::timeline::{Timeline, Unreachable};
use crate::types::{Key, Lsn, Timestamp};

/// Reads a world's log as `catch_up` reads a store's.
fn read(world: &World, timeline: &mut Timeline) {
    loop {
        let whole_from = timeline.whole_from.unwrap();
        for segment in world.log.chunk_by(|a, b| a.1.segment() == b.1.segment()) {
            if segment[0].1.segment().get() >= u64::from(whole_from) {
                for (head, at, body) in segment {
                    timeline.feed(*head, *at, body).unwrap();
                }
                continue;
            }
            let found = |(head, at, body): &(_, crate::types::Location, Vec<u8>)| Found {
                head: *head,
                offset: at.offset(),
                len: body.len() as u32,
            };
            let (listed, summaries) = choose(&segment.iter().map(found).collect::<Vec<_>>());
            for (head, at, body) in segment {
                if listed.iter().any(|listed| listed.offset == at.offset()) {
                    timeline.feed(*head, *at, body).unwrap();
                }
            }
            timeline.take_summary(&summaries[0]);
        }
        if !timeline.has_passed_over_images_ahead() {
            return;
        }
        timeline.begin_again(timeline.segment_of_present_era());
    }
}

fn lazy(world: &World, whole_from: u32) -> Timeline {
    let mut timeline = Timeline::lazy(world.timeline.object);
    timeline.whole_from = Some(whole_from);
    read(world, &mut timeline);
    timeline
}

fn read_back(world: &World, timeline: &mut Timeline, now: Lsn, target: Lsn) {
    let mut before = u32::MAX;
    while let Some(whole_from) = timeline.segment_for(now, target) {
        assert!(whole_from < before, "it reads the same again");
        before = whole_from;
        timeline.begin_again(whole_from);
        read(world, timeline);
    }
}

/// What needs no images, of a moment that is known.
fn same_moment(lazy: &Timeline, full: &Timeline, lsn: Lsn) {
    assert_eq!(lazy.reachable(lsn), full.reachable(lsn), "{lsn}");
    assert_eq!(lazy.extent_at(lsn), full.extent_at(lsn), "{lsn}");
    assert_eq!(lazy.time_of(lsn), full.time_of(lsn), "{lsn}");
    assert_eq!(lazy.canonical(lsn), full.canonical(lsn), "{lsn}");
}

fn check(world: &World, whole_from: u32) {
    let full = &world.timeline;
    let fresh = lazy(world, whole_from);
    assert_eq!((fresh.last(), fresh.highest()), (full.last(), full.highest()));
    assert_eq!(fresh.highest_said(), full.highest_said());
    assert_eq!((fresh.era(), fresh.era_at()), (full.era(), full.era_at()));
    assert_eq!((fresh.earliest(), fresh.newest_kept()), (full.earliest(), full.newest_kept()));
    assert_eq!(fresh.newest_time(), full.newest_time());
    assert_eq!(fresh.ahead(), full.ahead());
    assert!(fresh.marks().eq(full.marks()));
    assert_eq!(fresh.rewinds(), full.rewinds());
    assert!(fresh.knows(fresh.last()));
    let known_moments = full.eras.iter().flat_map(|log| log.moment_lsns()).collect::<Vec<_>>();
    for lsn in (0..full.highest().get() + 3).map(Lsn::new) {
        if fresh.knows(lsn) {
            same_moment(&fresh, full, lsn);
        } else {
            let said = fresh.reachable(lsn);
            assert!(
                said == Err(Unreachable::Unread { lsn }) || said == full.reachable(lsn),
                "{lsn}: {said:?}"
            );
            assert_eq!(fresh.time_of(lsn), None);
            let extent = fresh.extent_at(lsn);
            assert!(extent.is_none() || extent == full.extent_at(lsn));
        }
        if known_moments.contains(&lsn) {
            assert_eq!(fresh.canonical(lsn), full.canonical(lsn), "{lsn}");
        }
        match (fresh.plan(fresh.last(), lsn), full.plan(full.last(), lsn)) {
            (Err(crate::PlanError::Unreachable(Unreachable::Unread { .. })), _) => {}
            (lazily, fully) => assert_eq!(lazily, fully),
        }
        let mut back = fresh.clone();
        let last = back.last();
        read_back(world, &mut back, last, lsn);
        assert!(back.knows(lsn));
        same_moment(&back, full, lsn);
        assert_eq!(back.plan(back.last(), lsn), full.plan(full.last(), lsn), "{lsn}");
        for now in [lsn.get() / 2, lsn.get().saturating_sub(3)].map(Lsn::new) {
            let mut back = back.clone();
            read_back(world, &mut back, now, lsn);
            assert_eq!(back.plan(now, lsn), full.plan(now, lsn), "{now} to {lsn}");
        }
        let seen = |timeline: &Timeline| {
            let vantage = timeline.vantage(lsn)?;
            Some((1..=KEYS + 1).map(|key| vantage.source(Key::new(key))).collect::<Vec<_>>())
        };
        assert_eq!(seen(&back), seen(full), "{lsn}");
        assert!(seen(&fresh).is_none() || seen(&fresh) == seen(full));
    }
    let newest = full.newest_time().get();
    for time in (0..newest + 2).map(Timestamp::new) {
        if fresh.knows_time(time) {
            assert_eq!(fresh.at_time(time), full.at_time(time), "{time:?}");
        } else {
            assert_eq!(fresh.at_time(time), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(300)))]

    #[test]
    fn little_is_read_and_nothing_else_is_said(
        rollback in any::<bool>(),
        extent in 0..10usize,
        steps in prop::collection::vec((step(), any::<usize>()), 1..30),
        sealed in 1..30_u32,
    ) {
        let mut world = World::new(engine(rollback), (1..=extent as u32).collect());
        for (step, pick) in &steps {
            let _: &Step = step;
            take(&mut world, step, *pick);
        }
        let last = world.log.last().map_or(1, |(_, at, _)| at.segment().get() as u32);
        // The last segment is never sealed.
        check(&world, sealed.min(last));
    }
}
