use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dbrewind_core::{
    AppendError, CommitBody, Engine, Extent, Head, Hurry, Key, Kind, Lsn, MarkBody, MarkName, ObjectId,
    Source, Store, Timeline,
};

use super::{Course, until_room};

const KEYS: u64 = 12;
/// Turns that an era has.
const ERA: u64 = 10;

/// The content of each key: the LSN of its last change.
type State = [u64; KEYS as usize];

/// Records an object as an adapter does in the rollback modes, with an era and a mark now and then.
#[derive(Debug)]
pub(crate) struct Recorder {
    object: ObjectId,
    lsn: u64,
    now: State,
    /// What the marked moments were.
    marked: BTreeMap<u64, State>,
}

fn image(object: ObjectId, key: u64, changed: u64) -> Vec<u8> {
    let seed = (changed << 16 | key << 8 | u64::from(object.get())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..64 + seed % 400).map(|i| (seed >> (i % 8 * 8)) as u8).collect()
}

impl Recorder {
    pub(crate) fn new(store: &Store, number: u32) -> Self {
        let object = until_room(|| store.object(&format!("/recorded {number}"), 0));
        Self { object, lsn: 0, now: State::default(), marked: BTreeMap::new() }
    }

    pub(crate) fn record(&mut self, store: &Store, course: &Course) {
        // Others may wait for its next era: then it does not wait for room.
        let _hurry = Hurry::appends_wait_for(Duration::from_millis(20));
        let (mut timeline, mut turn) = (Timeline::new(self.object), 0);
        while !course.is_over() {
            if turn % ERA == 0 {
                self.era(store);
            }
            turn += 1;
            if self.commit(store).is_err() {
                // Nothing but a new era helps when this one is in the way.
                self.era(store);
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            if turn % 3 == 0 && self.mark(store).is_ok() {
                self.marked.insert(self.lsn, self.now);
            }
            if turn % 7 == 0 {
                self.look(store, &mut timeline);
                self.look(store, &mut Timeline::lazy(self.object));
                course.moments.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    fn head(&self, kind: Kind, key: u64) -> Head {
        Head::new(kind, self.object, Key::new(key), Lsn::new(self.lsn))
    }

    fn era(&mut self, store: &Store) {
        until_room(|| {
            self.lsn += 1;
            let era = (Engine::Rollback, Lsn::new(self.lsn));
            store.append_era(self.object, era, (Extent::new(KEYS), false), &[])
        });
    }

    /// Overwrites some keys. Each of them is captured before; nothing changes unless that is said to be done.
    fn commit(&mut self, store: &Store) -> Result<(), AppendError> {
        self.lsn += 1;
        let keys: Vec<u64> = (1..=KEYS).filter(|key| (self.lsn * key).is_multiple_of(3)).collect();
        for key in &keys {
            let before = image(self.object, *key, self.now[*key as usize - 1]);
            store.append(self.head(Kind::Before, *key), &[&before])?;
        }
        let body = CommitBody { time: store.next_time(self.object), extent: Extent::new(KEYS) };
        store.append(self.head(Kind::Commit, 0), &[&body.encode()])?;
        store.raise_last_lsn(self.object, Lsn::new(self.lsn));
        for key in keys {
            self.now[key as usize - 1] = self.lsn;
        }
        Ok(())
    }

    fn mark(&self, store: &Store) -> Result<(), AppendError> {
        let (time, extent) = (store.next_time(self.object), Extent::new(KEYS));
        let body = MarkBody { time, extent, name: MarkName::new(&self.lsn.to_string()).unwrap(), note: &[] };
        store.append(self.head(Kind::Mark, 0), &[&body.encode()]).map(drop)
    }

    /// Compares each marked moment that can be reached with what it was. Nothing goes meanwhile.
    pub(crate) fn look(&self, store: &Store, timeline: &mut Timeline) {
        let _held = store.hold_window().unwrap();
        while !timeline.catch_up_whole(store).unwrap() {}
        let now = timeline.last();
        assert!(now.get() <= self.lsn, "nobody has said {now}");
        let marks: Vec<_> = timeline.marks().filter(|mark| !mark.evicted).map(|mark| mark.lsn).collect();
        for lsn in marks.into_iter().rev().take(20) {
            let was = self.marked[&lsn.get()];
            let target = timeline.reached_by(lsn);
            timeline.read_back_for(store, now, target).unwrap();
            let plan = timeline.plan(now, target).unwrap();
            let differs: BTreeMap<u64, Source> =
                plan.items.iter().map(|(key, source)| (key.get(), *source)).collect();
            for key in 1..=KEYS {
                let (was, is) = (was[key as usize - 1], self.now[key as usize - 1]);
                match differs.get(&key) {
                    Some(Source::Record(at)) => {
                        assert_eq!(
                            store.read(*at).unwrap().body,
                            image(self.object, key, was),
                            "{lsn}, {key}"
                        );
                    }
                    None | Some(Source::Current) => assert_eq!(was, is, "{lsn}, {key}"),
                    Some(other) => panic!("{lsn}, {key}: {other:?}"),
                }
            }
        }
    }

    /// The same for somebody who reads the log for the first time.
    pub(crate) fn compare(&self, store: &Store) {
        let mut timeline = Timeline::new(self.object);
        self.look(store, &mut timeline);
        assert!(timeline.marks().any(|mark| !mark.evicted), "nothing can be reached any more");
    }
}
