use std::collections::BTreeMap;

use dbrewind_core::{Code, Cursor, Head, Location, Store};

use super::Course;
use super::writer::{Said, body, writer_of};

/// Reads what somebody has found in the log; `false` when it was evicted.
fn is_there(store: &Store, found: Head, at: Location, len: u32, buffer: &mut Vec<u8>) -> bool {
    match store.read_into(at, buffer) {
        Ok(head) => {
            assert_eq!((head, buffer.len() as u32), (found, len), "{at}");
            if let Some(writer) = writer_of(&head) {
                assert_eq!(*buffer, body(writer, head.lsn.get()), "{at}");
            }
            true
        }
        Err(error) => {
            let evicted = at.segment().get() < u64::from(store.first_segment());
            assert!(error.code() == Code::BeforeWindow && evicted, "{at}: {error}");
            false
        }
    }
}

/// What a cursor has come by: the newest record of each writer, and where.
#[derive(Debug, Default)]
struct Seen(BTreeMap<u32, (u64, Location)>);

impl Seen {
    /// A writer's record stands behind its last one. (One that counted, and was evicted before its writer could ask, was appended again.)
    fn take(&mut self, store: &Store, head: &Head, at: Location) {
        let Some(writer) = writer_of(head) else { return };
        let lsn = head.lsn.get();
        if let Some((before, was_at)) = self.0.insert(writer, (lsn, at)) {
            let evicted = was_at.segment().get() < u64::from(store.first_segment());
            assert!(before < lsn || evicted, "writer {writer}: {lsn} at {at} behind {before} at {was_at}");
        }
    }
}

/// Follows the log, and reads what it comes by.
pub(crate) fn follow(store: &Store, course: &Course) {
    let mut cursor = Cursor::default();
    let (mut seen, mut buffer) = (Seen::default(), Vec::new());
    while !course.is_over() {
        let mut found = Vec::new();
        store.scan(&mut cursor, &mut |head, at, len| found.push((head, at, len))).unwrap();
        for (head, at, len) in found {
            seen.take(store, &head, at);
            is_there(store, head, at, len, &mut buffer);
        }
    }
}

/// Goes through all of the log again and again, so that there are sealed segments in it, and some that go meanwhile.
pub(crate) fn go_through(store: &Store, course: &Course) {
    let mut buffer = Vec::new();
    let mut turn = 0;
    while !course.is_over() {
        turn += 1;
        // While the window is held everything stays, from the first record on.
        let held = (turn % 4 == 0).then(|| store.hold_window().unwrap());
        let (mut seen, mut found) = (Seen::default(), Vec::new());
        let mut cursor = Cursor::default();
        store.scan(&mut cursor, &mut |head, at, len| found.push((head, at, len))).unwrap();
        for (head, at, len) in found.into_iter().step_by(if held.is_some() { 5 } else { 1 }) {
            seen.take(store, &head, at);
            let there = is_there(store, head, at, len, &mut buffer);
            assert!(there || held.is_none(), "{at} went although the window was held");
            if course.is_over() {
                return;
            }
        }
    }
}

/// Compares what is there in the end with what the writers were told: all that was not evicted, in order, nothing twice, nothing else.
/// Answers how many.
pub(crate) fn compare(store: &Store, said: &BTreeMap<u32, Said>) -> usize {
    let mut found: BTreeMap<u32, Vec<(u64, Location)>> = BTreeMap::new();
    let (mut places, mut buffer) = (Vec::new(), Vec::new());
    let whole = store.scan_whole(&mut Cursor::default(), &mut |head, at, len| places.push((head, at, len)));
    assert!(whole.unwrap(), "something is in flight");
    assert!(places.is_sorted_by(|one, next| one.1 < next.1));
    let first = store.first_segment();
    assert!(places.iter().all(|(_, at, _)| at.segment().get() >= u64::from(first)));
    for (head, at, len) in &places {
        assert!(is_there(store, *head, *at, *len, &mut buffer), "{at} is gone");
        if let Some(writer) = writer_of(head) {
            found.entry(writer).or_default().push((head.lsn.get(), *at));
        }
    }
    for (writer, said) in said {
        let found: Vec<_> = found.remove(writer).unwrap_or_default();
        assert!(found.is_sorted_by(|one, next| one.0 < next.0), "writer {writer}: not in order, or twice");
        let found: BTreeMap<u64, Location> = found.into_iter().collect();
        let oldest = found.first_key_value().map_or(u64::MAX, |(lsn, _)| *lsn);
        for (lsn, at) in &said.there {
            let there = found.get(lsn);
            match at {
                Some(at) if at.segment().get() >= u64::from(first) => {
                    assert_eq!(there, Some(at), "writer {writer}, record {lsn}");
                }
                _ => assert!(there.is_some() || *lsn < oldest, "writer {writer}: record {lsn} is missing"),
            }
        }
        for (lsn, at) in &found {
            let known = said.there.contains_key(lsn) || said.perhaps.contains(lsn);
            assert!(known, "writer {writer}: nobody was told of {lsn} at {at}");
        }
    }
    assert_eq!(found, BTreeMap::new(), "of writers that there are not");
    places.len()
}
