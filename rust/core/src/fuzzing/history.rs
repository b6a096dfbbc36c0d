use crate::format::{CommitBody, DropBody, Engine, EraBody, Head, Kind, MarkBody, RewindBody};
use crate::timeline::Timeline;
use crate::types::{Extent, Key, Location, Lsn, MarkName, ObjectId, Timestamp};

/// Plans for a longer object list as many keys, which is right but takes long.
const MOST_KEYS: u64 = 1000;
const MOST_RECORDS: usize = 300;

/// Takes numbers off the front of the input; 0 when it is used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Small numbers, which meet each other, and those at the ends of the number space.
    fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=247 => u64::from(small) % 32,
            248 => u64::MAX,
            249 => u64::MAX - 1,
            250 => u64::from(u32::MAX),
            251 => 1 << 63,
            252 => u64::MAX - 2,
            _ => self.bytes(8).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        }
    }

    fn body(&mut self, kind: Kind) -> Vec<u8> {
        let name = match self.byte() {
            raw @ 128.. => return self.bytes(usize::from(raw) % 64).to_vec(),
            name => name,
        };
        let (time, extent) = (Timestamp::new(self.number()), Extent::new(self.number()));
        let Ok(name) = MarkName::new(if name.is_multiple_of(2) { "a" } else { "b" }) else {
            return Vec::new();
        };
        match kind {
            Kind::Commit => CommitBody { time, extent }.encode(),
            Kind::Mark => MarkBody { time, extent, name, note: self.bytes(4) }.encode(),
            Kind::Drop => DropBody { time, name }.encode(),
            Kind::Rewind => RewindBody { time, extent, from: Lsn::new(self.number()), note: &[] }.encode(),
            Kind::Era => EraBody { time, extent, broken: time.get().is_multiple_of(5) }.encode(),
            _ => Vec::new(),
        }
    }
}

/// Feeds a timeline records made of the bytes, and asks it everything. A record may be refused, and the answers after
/// that may be wrong, but they come, and are consistent in themselves.
pub fn history(data: &[u8]) {
    let mut input = Input(data);
    let object = ObjectId::new(1);
    let mut timeline = Timeline::new(object);
    let first = input.byte();
    if first & 1 == 0 {
        let engine = if first & 2 == 0 { Engine::Wal } else { Engine::Rollback };
        let body = EraBody { time: Timestamp::new(1), extent: Extent::new(5), broken: first & 4 != 0 };
        let head = Head { kind: Kind::Era, flags: 0, object, key: engine.key(), lsn: Lsn::new(1) };
        assert!(timeline.feed(head, Location::new(1, 64), &body.encode()).is_ok());
    }
    for at in 0..MOST_RECORDS {
        if input.0.is_empty() {
            break;
        }
        let kind = input.byte();
        let Some(kind) = Kind::from_raw(if kind == 255 { 255 } else { kind % 13 }) else { continue };
        let (key, lsn) = (Key::new(input.number()), Lsn::new(input.number()));
        let head = Head { kind, flags: 0, object, key, lsn };
        let body = input.body(kind);
        let _ = timeline.feed(head, Location::new(1, 128 + 64 * at as u32), &body);
        // Now and then in between, too: answers must not depend on being asked only at the end.
        if at % 16 == 15 {
            questions(&timeline);
        }
    }
    questions(&timeline);
}

/// Asks a timeline everything, about all the moments it knows of and some that it does not.
pub fn questions(timeline: &Timeline) {
    let last = timeline.last();
    assert!(last <= timeline.highest() && timeline.highest_said() <= timeline.highest());
    let mut moments: Vec<Lsn> = (0..6).map(Lsn::new).collect();
    moments.extend([last, timeline.highest(), Lsn::new(u64::MAX), Lsn::new(last.get() / 2)]);
    moments.extend(
        timeline.rewinds().iter().take(8).flat_map(|rewind| [rewind.lsn, rewind.target, rewind.from]),
    );
    moments.extend(timeline.marks().take(8).map(|mark| mark.lsn));
    moments.sort_unstable();
    moments.dedup();
    for mark in timeline.marks() {
        assert!(timeline.mark(mark.name.as_str()).is_some());
    }
    let _ = (timeline.mark("c"), timeline.nearest_name("ab"), timeline.ahead(), timeline.era());
    for tag in 0..4 {
        let _ = timeline.notes(tag);
    }
    for (index, moment) in moments.iter().copied().enumerate() {
        let canonical = timeline.canonical(moment);
        assert!(canonical <= moment);
        assert_eq!(timeline.canonical(canonical), canonical);
        let _ = (timeline.in_store(Key::new(moment.get())), timeline.captured_since(Key::new(1), moment));
        let _ = timeline.reachable(moment);
        let others = moments.get(index.saturating_sub(3)..index + 1).unwrap_or_default();
        for other in others.iter().copied().chain([last]) {
            assert_eq!(timeline.parting(moment, other), timeline.parting(other, moment));
            if timeline.extent_at(moment).is_some_and(|extent| extent.get() <= MOST_KEYS) {
                plan(timeline, other, moment);
            }
        }
    }
}

fn plan(timeline: &Timeline, now: Lsn, target: Lsn) {
    let Ok(plan) = timeline.plan(now, target) else { return };
    assert!(timeline.reachable(target).is_ok());
    assert_eq!(plan.target, target);
    assert!(plan.items.is_sorted_by(|(a, _), (b, _)| a < b), "a key is there twice");
    assert!(plan.items.iter().all(|(key, _)| (1..=plan.extent.get()).contains(&key.get())));
}
