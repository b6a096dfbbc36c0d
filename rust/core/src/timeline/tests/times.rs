//! Times of moments, one example each.

use crate::format::{CommitBody, Engine, EraBody, Head, Kind, MarkBody, RewindBody};
use crate::timeline::{Source, Timeline};
use crate::types::{Extent, Key, Location, Lsn, MarkName, ObjectId, Timestamp};

const OBJECT: ObjectId = ObjectId::new(1);

/// A history under construction; every record comes with its time.
struct History(Timeline, u32);

impl History {
    fn begin(engine: Engine, first: u64, time: u64) -> Self {
        Self(Timeline::new(OBJECT), 0).era(engine, first, time, true)
    }

    fn feed(mut self, kind: Kind, key: u64, lsn: u64, body: &[u8]) -> Self {
        self.1 += 8;
        let head = Head { kind, flags: 0, object: OBJECT, key: Key::new(key), lsn: Lsn::new(lsn) };
        self.0.feed(head, Location::new(1, self.1), body).unwrap();
        self
    }

    fn era(self, engine: Engine, first: u64, time: u64, broken: bool) -> Self {
        let body = EraBody { time: Timestamp::new(time), extent: Extent::new(1), broken };
        self.feed(Kind::Era, engine.key().get(), first, &body.encode())
    }

    fn commit(self, lsn: u64, time: u64) -> Self {
        let body = CommitBody { time: Timestamp::new(time), extent: Extent::new(1) };
        self.feed(Kind::Commit, 0, lsn, &body.encode())
    }

    fn mark(self, lsn: u64, time: u64) -> Self {
        let (name, time) = (MarkName::new(&format!("at {time}")).unwrap(), Timestamp::new(time));
        let body = MarkBody { time, extent: Extent::new(1), name, note: &[] };
        self.feed(Kind::Mark, 0, lsn, &body.encode())
    }

    fn rewind(self, lsn: u64, target: u64, from: u64, time: u64) -> Self {
        let (time, extent, from) = (Timestamp::new(time), Extent::new(1), Lsn::new(from));
        self.feed(Kind::Rewind, target, lsn, &RewindBody { time, extent, from, note: &[] }.encode())
    }

    fn at(&self, time: u64) -> Option<u64> {
        self.0.at_time(Timestamp::new(time)).map(Lsn::get)
    }

    fn time_of(&self, lsn: u64) -> Option<u64> {
        self.0.time_of(Lsn::new(lsn)).map(Timestamp::get)
    }
}

#[test]
fn a_time_means_the_newest_moment_that_was_there() {
    let history = History::begin(Engine::Wal, 1, 100).commit(2, 110).commit(5, 120).rewind(6, 2, 5, 130);
    let at = [99, 100, 109, 110, 119, 120, 129, 130, u64::MAX].map(|time| history.at(time));
    assert_eq!(at, [None, Some(1), Some(1), Some(2), Some(2), Some(5), Some(5), Some(6), Some(6)]);
    assert_eq!(
        [0, 1, 2, 4, 5, 6].map(|lsn| history.time_of(lsn)),
        [None, Some(100), Some(110), Some(110), Some(120), Some(130)]
    );
    assert_eq!(history.0.earliest(), Some((Lsn::new(1), Timestamp::new(100))));
    assert_eq!(Timeline::new(OBJECT).earliest(), None);
}

#[test]
fn an_era_goes_on_where_the_one_before_ended() {
    let history = History::begin(Engine::Rollback, 1, 100).commit(2, 110).era(Engine::Wal, 3, 120, false);
    let history = history.commit(4, 125).era(Engine::Rollback, 9, 50, false);
    assert_eq!([119, 120, 125, 126, 200].map(|time| history.at(time)), [2, 3, 4, 9, 9].map(Some));
    let history = history.era(Engine::Wal, 20, 40, true);
    assert_eq!([126, 127, 128].map(|time| history.at(time)), [None, Some(20), Some(20)]);
}

#[test]
fn of_an_era_of_before_images_the_nearest_moment_that_is_kept() {
    let history =
        History::begin(Engine::Rollback, 1, 100).commit(2, 110).mark(2, 115).commit(3, 120).commit(4, 130);
    assert_eq!([105, 110, 125, 129, 130].map(|time| history.at(time)), [1, 2, 2, 2, 4].map(Some));
    let history = history.rewind(5, 2, 4, 140).commit(6, 150);
    assert_eq!([125, 130, 139, 140, 155].map(|time| history.at(time)), [2, 4, 4, 5, 6].map(Some));
    for time in 100..150 {
        history.0.reachable(Lsn::new(history.at(time).unwrap())).unwrap();
    }
}

#[test]
fn a_mark_proves_that_its_commit_was_there_before_the_tail_saw_it() {
    let history =
        History::begin(Engine::Wal, 1, 100).mark(3, 110).commit(2, 120).commit(3, 121).commit(4, 130);
    assert_eq!([109, 110, 119, 121, 129].map(|time| history.at(time)), [1, 3, 3, 3, 3].map(Some));
    assert_eq!((history.time_of(2), history.time_of(3)), (Some(120), Some(110)));
}

/// The LSN of an era was announced, and its process died before the record: what is marked then has that number.
#[test]
fn a_mark_of_an_lsn_that_came_to_nothing() {
    let history = History::begin(Engine::Rollback, 1, 100).commit(2, 110).mark(4, 115);
    history.0.reachable(Lsn::new(4)).unwrap();
    assert!(history.0.reachable(Lsn::new(3)).is_err() && history.0.reachable(Lsn::new(5)).is_err());
    assert_eq!(history.0.plan(Lsn::new(2), Lsn::new(4)).unwrap().items, []);
    assert!(history.0.vantage(Lsn::new(4)).is_some());
    let history = history.feed(Kind::Before, 1, 5, &[]);
    let image = Source::Record(Location::new(1, history.1));
    assert_eq!(history.0.plan(Lsn::new(2), Lsn::new(4)).unwrap().items, [(Key::new(1), image)]);
    let history = history.commit(5, 120);
    history.0.reachable(Lsn::new(4)).unwrap();
    assert_eq!(history.0.plan(Lsn::new(5), Lsn::new(4)).unwrap().items, [(Key::new(1), image)]);
    let wal = History::begin(Engine::Wal, 1, 100).commit(2, 110).mark(4, 115);
    assert!(wal.0.reachable(Lsn::new(4)).is_err(), "its commit is not recorded yet");
}
