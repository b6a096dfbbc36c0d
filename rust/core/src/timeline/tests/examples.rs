//! The rules of the timeline, one example each. Locations are numbers: image `n` is at offset `n`.

use crate::error::Code;
use crate::format::{CommitBody, DropBody, Engine, EraBody, Head, Kind, MarkBody, RewindBody};
use crate::store::{Store, StoreOptions};
use crate::timeline::{PlanError, Source, Timeline, TimelineError, Unreachable};
use crate::types::{Extent, Key, Location, Lsn, MarkName, ObjectId, Timestamp};

const OBJECT: ObjectId = ObjectId::new(1);

fn head(kind: Kind, key: u64, lsn: u64) -> Head {
    Head { kind, flags: 0, object: OBJECT, key: Key::new(key), lsn: Lsn::new(lsn) }
}

/// A history under construction.
struct History(Timeline);

impl History {
    fn begin(engine: Engine, first: u64, extent: u64) -> Self {
        Self(Timeline::new(OBJECT)).era(engine, first, extent, true)
    }

    fn feed(mut self, head: Head, at: u32, body: &[u8]) -> Self {
        self.0.feed(head, Location::new(1, at), body).unwrap();
        self
    }

    fn era(self, engine: Engine, first: u64, extent: u64, broken: bool) -> Self {
        let body = EraBody { time: Timestamp::new(77), extent: Extent::new(extent), broken };
        self.feed(head(Kind::Era, engine.key().get(), first), 0, &body.encode())
    }

    fn image(self, kind: Kind, key: u64, lsn: u64, at: u32) -> Self {
        self.feed(head(kind, key, lsn), at, &[])
    }

    fn commit(self, lsn: u64, extent: u64) -> Self {
        let body = CommitBody { time: Timestamp::default(), extent: Extent::new(extent) };
        self.feed(head(Kind::Commit, 0, lsn), 0, &body.encode())
    }

    fn mark(self, name: &str, lsn: u64) -> Self {
        let (time, extent, name) = (Timestamp::default(), Extent::new(9), MarkName::new(name).unwrap());
        self.feed(head(Kind::Mark, 0, lsn), 0, &MarkBody { time, extent, name, note: b"n" }.encode())
    }

    fn dropped(self, name: &str, lsn: u64) -> Self {
        let body = DropBody { time: Timestamp::default(), name: MarkName::new(name).unwrap() };
        self.feed(head(Kind::Drop, 0, lsn), 0, &body.encode())
    }

    fn rewind(self, lsn: u64, target: u64, from: u64, extent: u64) -> Self {
        let (time, extent, from) = (Timestamp::default(), Extent::new(extent), Lsn::new(from));
        self.feed(head(Kind::Rewind, target, lsn), 0, &RewindBody { time, extent, from, note: &[] }.encode())
    }

    /// The items of a plan; records as `Ok(offset)`.
    fn plan(&self, now: u64, target: u64) -> Vec<(u64, Result<u32, Source>)> {
        let plan = self.0.plan(Lsn::new(now), Lsn::new(target)).unwrap();
        plan.items
            .into_iter()
            .map(|(key, source)| match source {
                Source::Record(at) => (key.get(), Ok(at.offset())),
                other => (key.get(), Err(other)),
            })
            .collect()
    }

    fn parting(&self, a: u64, b: u64) -> u64 {
        self.0.parting(Lsn::new(a), Lsn::new(b)).get()
    }

    fn canonical(&self, lsn: u64) -> u64 {
        self.0.canonical(Lsn::new(lsn)).get()
    }

    fn reachable(&self, lsn: u64) -> Result<(), Unreachable> {
        self.0.reachable(Lsn::new(lsn))
    }
}

/// The drawing in `history.md`: commits 1 to 5, a rewind 6 to 3, a commit 7.
fn drawing() -> History {
    let mut history = History::begin(Engine::Wal, 0, 9);
    for lsn in 1..=5 {
        history = history.image(Kind::After, lsn, lsn, 10 * lsn as u32).commit(lsn, 9);
    }
    history.rewind(6, 3, 5, 9).image(Kind::After, 7, 7, 70).commit(7, 9)
}

#[test]
fn only_what_the_two_sides_touched_is_in_a_plan() {
    let history = drawing();
    assert_eq!(history.parting(7, 4), 3);
    assert_eq!(history.plan(7, 4), [(4, Ok(40)), (7, Err(Source::Base))]);
    assert_eq!(history.plan(7, 3), [(7, Err(Source::Base))]);
    assert_eq!(history.plan(7, 5), [(4, Ok(40)), (5, Ok(50)), (7, Err(Source::Base))]);
    assert_eq!(history.plan(7, 7), []);
}

#[test]
fn the_way_between_two_moments_leaves_out_what_was_rewound() {
    let history = drawing();
    let way = |since, now| -> Vec<(u64, u64)> {
        let ways = history.0.way(Lsn::new(since), Lsn::new(now));
        ways.iter().map(|lsns| (lsns.start().get(), lsns.end().get())).collect()
    };
    assert_eq!(way(3, 5), [(4, 5)]);
    assert_eq!(way(3, 7), [(7, 7)]);
    assert_eq!(way(1, 7), [(7, 7), (2, 3)]);
    assert_eq!(way(5, 7), [(7, 7)], "above where their pasts part");
    assert_eq!(way(0, 6), [(1, 3)]);
    for same in [(7, 7), (3, 6), (6, 6), (7, 3)] {
        assert_eq!(way(same.0, same.1), []);
    }
    // Over the beginning of an era, which is no commit.
    let history = drawing().era(Engine::Rollback, 9, 9, false).commit(11, 9).commit(12, 9);
    let way = history.0.way(Lsn::new(3), Lsn::new(12));
    assert_eq!(way, [Lsn::new(10)..=Lsn::new(12), Lsn::new(7)..=Lsn::new(7)]);
}

#[test]
fn a_rewind_has_the_state_of_its_target() {
    let history = drawing();
    assert_eq!(history.canonical(6), 3);
    assert_eq!(history.canonical(7), 7);
    assert_eq!(history.parting(6, 3), 3);
    assert_eq!(history.parting(7, 6), 3);
    assert_eq!(history.plan(7, 6), history.plan(7, 3));
    // Undone: the moment the rewind came from is another branch, and whole.
    let undone = drawing().rewind(8, 5, 7, 9);
    assert_eq!(undone.canonical(8), 5);
    assert_eq!(undone.plan(8, 5), []);
}

/// A loop back to one mark, in which an era begins now and then.
#[test]
fn the_state_of_a_mark_is_followed_through_any_number_of_eras() {
    let mut history = History::begin(Engine::Wal, 0, 9).commit(2, 9);
    for round in 1..300 {
        let before = 10 * (round - 1);
        let target = if round == 1 { 2 } else { before };
        history = history.commit(before + 7, 9).rewind(before + 8, target, before + 7, 9);
        history = history.era(Engine::Wal, before + 10, 9, false);
        assert_eq!(history.canonical(before + 10), 2);
        assert_eq!(history.canonical(before + 7), before + 7);
    }
    // A second copy, from a writer that was slow, says the same; a commit that comes late ends its era otherwise.
    history = history.rewind(8, 2, 7, 9);
    assert_eq!(history.canonical(2990), 2);
    let late = history.commit(2989, 9);
    assert_eq!((late.canonical(2990), late.canonical(2980)), (2989, 2));
}

#[test]
fn a_commit_not_recorded_yet_stands_for_itself() {
    let history = drawing().image(Kind::After, 1, 8, 80).mark("ahead", 9);
    assert_eq!(history.0.last().get(), 7);
    assert_eq!(history.0.highest().get(), 9);
    assert_eq!(history.canonical(9), 9);
    assert_eq!(history.0.extent_at(Lsn::new(9)), Some(Extent::new(9)));
    assert!(matches!(history.reachable(9), Err(Unreachable::Unknown { .. })));
    // Half a commit changes no plan.
    assert_eq!(history.plan(7, 4), drawing().plan(7, 4));
    let recorded = history.image(Kind::After, 2, 9, 90).commit(9, 9);
    assert_eq!(recorded.reachable(9), Ok(()));
    assert_eq!(recorded.plan(9, 7), [(1, Ok(10)), (2, Ok(20))]);
}

#[test]
fn records_that_come_twice_change_nothing() {
    let history = drawing().image(Kind::After, 4, 4, 400).commit(4, 9).rewind(6, 3, 5, 9);
    assert_eq!(history.plan(7, 4), drawing().plan(7, 4));
    assert_eq!(history.0.rewinds().len(), 1);
}

#[test]
fn the_base_is_in_its_record_once_a_checkpoint_overwrote_it() {
    let history = drawing();
    assert!(!history.0.in_store(Key::new(7)), "an after-image does not save what was there before");
    assert!(history.0.in_store(Key::new(10)), "past the extent at the beginning there is nothing to save");
    let saved = history.image(Kind::Base, 7, 0, 700).image(Kind::Base, 7, 0, 701);
    assert!(saved.0.in_store(Key::new(7)));
    assert_eq!(saved.plan(7, 3), [(7, Ok(700))]);
}

#[test]
fn keys_cut_off_and_grown_over_read_as_zeros() {
    let history = History::begin(Engine::Wal, 0, 5)
        .image(Kind::After, 4, 1, 10)
        .commit(1, 5)
        .image(Kind::After, 1, 2, 20)
        .image(Kind::Cut, 4, 2, 0)
        .commit(2, 3)
        .image(Kind::After, 1, 3, 30)
        .commit(3, 6);
    // Keys 4 and 5 came back without an image, key 6 never had one.
    assert_eq!(
        history.plan(2, 3),
        [(1, Ok(30)), (4, Err(Source::Zero)), (5, Err(Source::Zero)), (6, Err(Source::Zero))]
    );
    assert_eq!(history.plan(3, 1), [(1, Err(Source::Base)), (4, Ok(10)), (5, Err(Source::Base))]);
}

#[test]
fn a_before_image_tells_every_moment_before_it() {
    let history = History::begin(Engine::Rollback, 0, 9)
        .mark("a", 0)
        .image(Kind::Before, 1, 1, 10)
        .image(Kind::Before, 2, 1, 11)
        .commit(1, 9)
        .mark("b", 1)
        .image(Kind::Before, 1, 2, 20)
        .commit(2, 9);
    assert_eq!(history.plan(2, 0), [(1, Ok(10)), (2, Ok(11))]);
    assert_eq!(history.plan(2, 1), [(1, Ok(20))]);
    assert!(history.0.captured_since(Key::new(1), Lsn::new(1)));
    assert!(!history.0.captured_since(Key::new(2), Lsn::new(1)));
    assert_eq!(history.reachable(2), Err(Unreachable::NotAMoment { lsn: Lsn::new(2) }));
}

/// The log begins in the midst of the era that the interruption ended; who has read it all says the same.
#[test]
fn lost_marks_are_not_called_evicted_when_their_era_is_gone() {
    let mut cut = Timeline::new(OBJECT);
    (cut.begins, cut.read_from) = (1 + 1, 1 + 1);
    for begun in [History(cut), History::begin(Engine::Rollback, 0, 9)] {
        let history = begun.mark("a", 3).era(Engine::Rollback, 9, 9, true);
        let mark = history.0.mark("a").unwrap();
        assert!(mark.lost && !mark.evicted);
        assert_eq!(history.reachable(3).unwrap_err().code(), Code::MarkLost);
    }
}

/// Key 4 was overwritten before the rewind only, key 5 before and after it: what it was is in the newer image, too.
#[test]
fn who_goes_back_again_reads_the_images_of_the_last_round() {
    let history = History::begin(Engine::Rollback, 0, 9)
        .commit(1, 9)
        .mark("a", 1)
        .image(Kind::Before, 4, 2, 20)
        .image(Kind::Before, 5, 2, 21)
        .commit(2, 9)
        .image(Kind::Before, 4, 3, 30)
        .image(Kind::Before, 5, 3, 31)
        .rewind(3, 1, 2, 9)
        .image(Kind::Before, 5, 4, 40)
        .commit(4, 9);
    assert_eq!(history.plan(4, 1), [(5, Ok(40))]);
    assert_eq!(history.plan(4, 3), [(5, Ok(40))]);
    assert_eq!(history.plan(4, 2), [(4, Ok(30)), (5, Ok(31))]);
}

#[test]
fn what_an_unrecorded_transaction_captured_is_undone_as_well() {
    let history =
        History::begin(Engine::Rollback, 0, 9).commit(1, 9).mark("a", 1).image(Kind::Before, 5, 2, 20);
    assert_eq!(history.plan(1, 1), [(5, Ok(20))]);
}

#[test]
fn the_moment_a_rewind_left_can_be_reached() {
    // 1: key 1; 2 rewinds to 0, writing key 1 back; 3: key 2.
    let history = History::begin(Engine::Rollback, 0, 9)
        .image(Kind::Before, 1, 1, 10)
        .commit(1, 9)
        .image(Kind::Before, 1, 2, 20)
        .rewind(2, 0, 1, 9)
        .image(Kind::Before, 2, 3, 30)
        .commit(3, 9);
    assert_eq!(history.reachable(1), Ok(()));
    assert_eq!(history.plan(3, 1), [(1, Ok(20)), (2, Ok(30))]);
    assert_eq!(history.plan(3, 2), [(2, Ok(30))]);
}

#[test]
fn a_seamless_era_goes_on() {
    let history = History::begin(Engine::Rollback, 0, 9)
        .mark("a", 0)
        .image(Kind::Before, 1, 1, 10)
        .commit(1, 9)
        .era(Engine::Wal, 2, 9, false)
        .image(Kind::After, 2, 3, 30)
        .image(Kind::After, 3, 3, 31)
        .commit(3, 9);
    assert_eq!(history.canonical(2), 1);
    assert_eq!(history.parting(3, 0), 0);
    // Key 1 was before-imaged in the old era, 2 and 3 still lie in the file.
    assert_eq!(history.plan(3, 0), [(1, Ok(10)), (2, Err(Source::Base)), (3, Err(Source::Base))]);
    let next = history
        .image(Kind::Base, 2, 2, 40)
        .image(Kind::Base, 3, 2, 41)
        .era(Engine::Rollback, 4, 9, false)
        .image(Kind::Before, 3, 5, 50)
        .image(Kind::Before, 4, 5, 51)
        .commit(5, 9);
    assert_eq!(next.plan(5, 0), [(1, Ok(10)), (2, Ok(40)), (3, Ok(41)), (4, Ok(51))]);
    assert_eq!(next.plan(5, 3), [(3, Ok(31)), (4, Ok(51))]);
}

#[test]
fn nothing_before_a_broken_era_is_guessed() {
    let history = drawing().mark("old", 7).era(Engine::Wal, 10, 9, true).mark("new", 10);
    let time = history.0.earliest().unwrap().1;
    assert!(time > Timestamp::new(77), "later than all before it");
    let lost = Unreachable::Lost { lsn: Lsn::new(7), first: Lsn::new(10), time };
    assert_eq!(history.reachable(7), Err(lost));
    assert_eq!(lost.code(), Code::MarkLost);
    assert_eq!(history.0.plan(Lsn::new(10), Lsn::new(7)), Err(PlanError::Unreachable(lost)));
    let marks: Vec<_> = history.0.marks().map(|mark| (mark.name.as_str(), mark.lost)).collect();
    assert_eq!(marks, [("old", true), ("new", false)]);
    // Late copies of lost records are no contradiction.
    let late = history.image(Kind::After, 1, 5, 0).commit(5, 9).rewind(6, 3, 5, 9).mark("late", 5);
    assert!(late.0.mark("late").is_some_and(|mark| mark.lost));
    assert!(late.0.rewinds().is_empty());
}

#[test]
fn a_mark_ahead_of_the_record_is_lost_with_it() {
    let history = drawing().mark("ahead", 9).era(Engine::Wal, 9, 9, true);
    assert!(history.0.mark("ahead").is_some_and(|mark| mark.lost));
}

#[test]
fn the_first_mark_of_a_name_counts_until_it_is_dropped() {
    let history = drawing().mark("seeded", 3).mark("seeded", 4);
    assert_eq!(history.0.mark("seeded").map(|mark| (mark.lsn.get(), &*mark.note)), Some((3, &b"n"[..])));
    assert_eq!(history.0.nearest_name("seedde"), Some("seeded"));
    assert_eq!(history.dropped("seeded", 7).0.mark("seeded"), None);
}

#[test]
fn notes_are_those_of_the_present_era() {
    let note = |history: History, tag, at| history.feed(head(Kind::Note, tag, 3), at, b"x");
    let history = note(note(drawing(), 1, 10), 1, 20);
    assert_eq!(history.0.notes(1).iter().map(|note| note.at.offset()).collect::<Vec<_>>(), [10, 20]);
    assert!(history.0.notes(2).is_empty());
    assert!(history.era(Engine::Wal, 8, 9, false).0.notes(1).is_empty());
}

#[test]
fn contradictions_are_refused() {
    let wal = || History::begin(Engine::Wal, 5, 9).commit(6, 9).0;
    let rollback = || History::begin(Engine::Rollback, 5, 9).commit(6, 9).0;
    let commit = CommitBody { time: Timestamp::default(), extent: Extent::new(9) }.encode();
    let era = EraBody { time: Timestamp::default(), extent: Extent::new(9), broken: false }.encode();
    let (time, extent, from) = (Timestamp::default(), Extent::new(9), Lsn::new(6));
    let rewind = RewindBody { time, extent, from, note: &[] }.encode();
    let cases: [(Timeline, Head, &[u8]); 11] = [
        (Timeline::new(OBJECT), head(Kind::Commit, 0, 1), &commit),
        (wal(), head(Kind::Before, 1, 7), &[]),
        (rollback(), head(Kind::After, 1, 7), &[]),
        (rollback(), head(Kind::Base, 1, 5), &[]),
        (wal(), head(Kind::Base, 1, 6), &[]),
        (wal(), head(Kind::After, 1, 5), &[]),
        (wal(), head(Kind::After, 1, u64::MAX), &[]),
        (wal(), head(Kind::Rewind, 8, 7), &rewind),
        (wal(), head(Kind::Rewind, 4, 7), &rewind),
        (wal(), head(Kind::Era, 1, 6), &era),
        (wal(), head(Kind::Era, 3, 7), &era),
    ];
    for (mut timeline, head, body) in cases {
        let error = timeline.feed(head, Location::new(1, 8), body).unwrap_err();
        assert!(matches!(error, TimelineError::Misplaced { .. }), "{head:?}: {error}");
        assert_eq!(error.code(), Code::StoreDamaged);
    }
    let error = wal().feed(head(Kind::Commit, 0, 7), Location::new(1, 8), &[1]).unwrap_err();
    assert!(matches!(error, TimelineError::Body { .. }), "{error}");
}

#[test]
fn records_of_other_objects_are_passed_over() {
    let mut history = drawing();
    let other = Head { object: ObjectId::new(2), ..head(Kind::Era, 1, 99) };
    history.0.feed(other, Location::new(1, 8), &[]).unwrap();
    assert_eq!(history.0.highest().get(), 7);
}

#[test]
fn a_store_is_read_on_from_where_reading_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &StoreOptions::default()).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let append =
        |kind, key, lsn, body: &[u8]| store.append(Head { object, ..head(kind, key, lsn) }, &[body]).unwrap();
    let (time, extent) = (Timestamp::default(), Extent::new(3));
    append(Kind::Era, 1, 5, &EraBody { time, extent, broken: true }.encode());
    let mut timeline = Timeline::new(object);
    timeline.catch_up(&store).unwrap();
    assert_eq!(timeline.last().get(), 5);
    let image = append(Kind::After, 2, 6, b"image");
    append(Kind::Commit, 0, 6, &CommitBody { time, extent }.encode());
    timeline.catch_up(&store).unwrap();
    timeline.catch_up(&store).unwrap();
    let plan = timeline.plan(Lsn::new(5), Lsn::new(6)).unwrap();
    assert_eq!(plan.items, [(Key::new(2), Source::Record(image))]);
    // A contradiction empties the timeline, and reading again meets it again.
    append(Kind::Before, 2, 7, b"image");
    assert_eq!(timeline.catch_up(&store).unwrap_err().code(), Code::StoreDamaged);
    assert_eq!(timeline.era(), None);
    assert!(timeline.catch_up(&store).is_err());
}

/// Images of a transaction in flight belong to no moment until it commits, and to none ever when it was voided or a
/// rewind came first.
#[test]
fn images_ahead_of_their_commit() {
    let history = History::begin(Engine::Wal, 1, 3).image(Kind::After, 1, 2, 10).commit(2, 3);
    let ahead = || History(history.0.clone()).image(Kind::After, 2, 3, 20).image(Kind::After, 3, 4, 30);
    assert_eq!(ahead().0.ahead(), Some(Location::new(1, 30)));
    assert_eq!(ahead().plan(2, 1), [(1, Err(Source::Base))]);
    let committed = ahead().commit(4, 3);
    assert_eq!(committed.0.ahead(), None);
    let [one, two, three] = [1, 2, 3].map(|key| (key, Err(Source::Base)));
    assert_eq!(committed.plan(4, 1), [one, two, three]);
    let voided = ahead().image(Kind::Void, 0, 2, 0).image(Kind::After, 1, 3, 40).commit(3, 3);
    assert_eq!((voided.plan(3, 1), voided.plan(1, 3)), (vec![one], vec![(1, Ok(40))]));
    let rewound = ahead().rewind(3, 1, 2, 3).commit(4, 3);
    assert_eq!((rewound.plan(4, 1), rewound.plan(4, 2)), (vec![], vec![(1, Ok(10))]));
    let head = head(Kind::Void, 0, 1);
    let late = History(history.0).0.feed(head, Location::new(1, 50), &[]);
    assert!(matches!(late, Err(TimelineError::Misplaced { .. })));
}
