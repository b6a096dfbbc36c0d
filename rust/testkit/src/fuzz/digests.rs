//! Target `digests`: of a sound store of sealed segments one or several digests are made to say something else, with the right hashes, then it is
//! opened, read lazily and whole, asked everything, and evicted from.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dbrewind_core::fuzzing::{
    ForgedDigest, ForgedRecord, ForgedSummary, forge_digest, forge_sealed, questions,
};
use dbrewind_core::{
    Clock, CommitBody, DropBody, EraBody, Extent, Head, Key, Kind, Lsn, ManualClock, MarkBody, MarkName,
    ObjectId, RewindBody, Store, Timeline, Timestamp,
};

use super::eras::{Eras, LATER, NOW, OBJECTS, answers, sound_eras};
use super::folder::{OPTIONS, scratch};
use super::input::{Input, put};

const MOST_FORGED: usize = 4;
const MOST_EDITS: u8 = 6;

/// Forges digests, and in one of eight cases an index, as the bytes say. Nothing panics or goes on for ever, and what was read whole answers as
/// the whole log does.
pub fn digests(data: &[u8]) {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let mut input = Input(data);
    let sounds = sound_eras();
    let sound = &sounds[usize::from(input.byte()) % sounds.len()];
    let mut files = sound.files.clone();
    let mut sound_indexes = true;
    for _ in 0..MOST_FORGED {
        if input.0.is_empty() {
            break;
        }
        sound_indexes &= forge(&mut input, &mut files);
    }
    let dir = scratch().join(format!("digests-{}", RUN.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&dir).expect("a folder");
    for (name, bytes) in &files {
        fs::write(dir.join(name), bytes).expect("a file");
    }
    examine(&dir, sound, sound_indexes);
    fs::remove_dir_all(&dir).expect("no folder");
}

/// Forges one file. `false`: its index, too.
fn forge(input: &mut Input<'_>, files: &mut BTreeMap<String, Vec<u8>>) -> bool {
    let names: Vec<String> = files.keys().filter(|name| name.ends_with(".zst")).cloned().collect();
    let Some(name) = names.get(input.below(names.len())) else { return true };
    let other = names.get(input.below(names.len())).and_then(|name| files.get(name)).cloned();
    let Some(bytes) = files.get_mut(name) else { return true };
    let kind = input.byte();
    if kind % 8 == 7 {
        let (at, piece) = (input.below(1 << 16), input.bytes(3).to_vec());
        let made = forge_sealed(bytes, None, &mut |columns| {
            let at = at % columns.len().max(1);
            put(columns, at, &piece);
        });
        *bytes = made.unwrap_or_else(|| bytes.clone());
        return false;
    }
    let size = segment_size(bytes);
    // What another one says, to be taken from.
    let mut foreign = None;
    let _same = forge_digest(&other.unwrap_or_default(), &mut |digest| foreign = Some(digest.clone()));
    let made = forge_digest(bytes, &mut |digest| {
        for _ in 0..1 + kind % MOST_EDITS {
            edit(input, digest, foreign.as_ref(), size);
        }
        if !input.byte().is_multiple_of(8) {
            believable(digest, size);
        }
        // An encoder needs it.
        digest.records.sort_by_key(|listed| listed.offset);
    });
    // Not if what was forged of it before is refused.
    if let Some(made) = made {
        *bytes = made;
    }
    true
}

/// The length that a sealed segment had, as its header tells it.
fn segment_size(file: &[u8]) -> u32 {
    let size = file.get(48..56).and_then(|size| size.try_into().ok()).map_or(0, u64::from_le_bytes);
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Small numbers, which meet each other, and those at the ends of the number space.
fn number(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        small @ 0..=239 => u64::from(small) % 64,
        240 => u64::MAX,
        241 => u64::MAX - 1,
        242 => u64::from(u32::MAX),
        243 => 1 << 63,
        // About the clock's.
        244..=247 => NOW + u64::from(input.byte()),
        248 => LATER + u64::from(input.byte()),
        _ => input.bytes(8).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    }
}

/// One change of what a digest says.
fn edit(input: &mut Input<'_>, digest: &mut ForgedDigest, foreign: Option<&ForgedDigest>, size: u32) {
    let which = input.below(digest.records.len());
    let what = input.byte() % 16;
    let offset = 64 + 8 * (input.below(1 << 13) as u32 % (size / 8).max(1));
    let listed = digest.records.get_mut(which);
    match (what, listed) {
        (0, Some(_)) => drop(digest.records.remove(which)),
        (1, Some(listed)) => {
            let again = ForgedRecord { offset, ..listed.clone() };
            digest.records.push(again);
        }
        (2 | 3, Some(listed)) => listed.head.lsn = Lsn::new(number(input)),
        (4, Some(listed)) => listed.head.key = Key::new(number(input)),
        (5, Some(listed)) => listed.head.object = ObjectId::new(number(input) as u32),
        (6, Some(listed)) => listed.head.flags = input.byte(),
        (7, Some(listed)) => listed.offset = offset,
        (8, Some(listed)) => {
            let at = input.below(listed.body.len());
            let piece = number(input).to_le_bytes();
            put(&mut listed.body, at - at % 8, &piece);
        }
        (9, Some(listed)) => {
            listed.body = input.bytes(usize::from(*input.0.first().unwrap_or(&0)) % 48).to_vec()
        }
        (10, Some(listed)) => listed.head.kind = kind(input),
        (11, _) => {
            let kind = kind(input);
            let object = ObjectId::new(u32::from(input.byte() % 3));
            let key = if kind == Kind::Era { 1 + u64::from(input.byte() % 2) } else { number(input) };
            let head = Head {
                kind,
                flags: input.byte() % 4,
                object,
                key: Key::new(key),
                lsn: Lsn::new(number(input)),
            };
            digest.records.push(ForgedRecord { head, offset, body: body(input, kind) });
        }
        (12, _) => {
            let count = digest.summaries.len();
            if let Some(summary) = digest.summaries.get_mut(input.below(count)) {
                let number = number(input);
                match input.byte() % 5 {
                    0 => summary.highest = number,
                    1 => summary.highest_said = number,
                    2 => summary.newest_after = number,
                    3 => summary.newest = offset,
                    _ => summary.object = number as u32,
                }
            }
        }
        (13, _) => {
            let count = digest.summaries.len();
            if count > 0 {
                digest.summaries.remove(input.below(count));
            }
        }
        (14, _) => {
            if let Some(foreign) = foreign {
                digest.clone_from(foreign);
            }
        }
        _ => {
            let count = foreign.map_or(0, |foreign| foreign.records.len());
            let taken = foreign.and_then(|foreign| foreign.records.get(input.below(count)));
            digest.records.extend(taken.map(|taken| ForgedRecord { offset, ..taken.clone() }));
        }
    }
}

fn kind(input: &mut Input<'_>) -> Kind {
    const LISTED: [Kind; 8] =
        [Kind::Object, Kind::Commit, Kind::Mark, Kind::Drop, Kind::Rewind, Kind::Era, Kind::Note, Kind::Void];
    LISTED[usize::from(input.byte()) % LISTED.len()]
}

fn body(input: &mut Input<'_>, kind: Kind) -> Vec<u8> {
    let (time, extent) = (Timestamp::new(number(input)), Extent::new(number(input)));
    let names = ["first", "second", "pinned", "new"];
    let name = MarkName::new(names[usize::from(input.byte()) % names.len()]).expect("a name");
    match kind {
        Kind::Commit => CommitBody { time, extent }.encode(),
        Kind::Mark => {
            let note = if input.byte().is_multiple_of(2) {
                number(input).to_le_bytes().to_vec()
            } else {
                Vec::new()
            };
            MarkBody { time, extent, name, note: &note }.encode()
        }
        Kind::Drop => DropBody { time, name }.encode(),
        Kind::Rewind => RewindBody { time, extent, from: Lsn::new(number(input)), note: &[] }.encode(),
        Kind::Era => EraBody { time, extent, broken: input.byte().is_multiple_of(4) }.encode(),
        Kind::Object => [&600_u32.to_le_bytes()[..], &[0; 4], input.bytes(3)].concat(),
        _ => input.bytes(8).to_vec(),
    }
}

/// Makes it one that is not refused for its own sake: places in the segment, each once, ascending, summaries that cover what is listed.
fn believable(digest: &mut ForgedDigest, size: u32) {
    let room = |listed: &ForgedRecord| size.saturating_sub(listed.body.len() as u32 + 40);
    for listed in &mut digest.records {
        listed.offset = listed.offset.min(room(listed)) / 8 * 8;
        listed.head.lsn = Lsn::new(listed.head.lsn.get().min(u64::MAX - 1));
    }
    digest.records.sort_by_key(|listed| listed.offset);
    digest.records.dedup_by_key(|listed| listed.offset);
    digest.summaries.sort_by_key(|summary| summary.object);
    digest.summaries.dedup_by_key(|summary| summary.object);
    for listed in &digest.records {
        let object = listed.head.object.get();
        let at = digest.summaries.binary_search_by_key(&object, |summary| summary.object);
        let at = at.unwrap_or_else(|at| {
            let none = ForgedSummary { object, highest: 0, highest_said: 0, newest_after: 0, newest: 0 };
            digest.summaries.insert(at, none);
            at
        });
        let summary = &mut digest.summaries[at];
        if listed.head.kind != Kind::Object {
            summary.highest_said = summary.highest_said.max(listed.head.lsn.get());
        }
        summary.newest = summary.newest.max(listed.offset);
    }
    for summary in &mut digest.summaries {
        summary.highest_said = summary.highest_said.min(u64::MAX - 1);
        summary.newest_after = summary.newest_after.min(u64::MAX - 1);
        let least = summary.highest_said.max(summary.newest_after);
        summary.highest = summary.highest.clamp(least, u64::MAX - 1);
        summary.newest = summary.newest.min(size.saturating_sub(8)) / 8 * 8;
    }
}

fn examine(dir: &std::path::Path, sound: &Eras, sound_indexes: bool) {
    let clock = ManualClock::new(Timestamp::new(LATER));
    let store = match Store::open_by(dir, &OPTIONS, Clock::Manual(clock.clone())) {
        Ok(store) => store,
        Err(error) => return assert!(!sound_indexes, "{error}"),
    };
    let objects = store.objects();
    assert!(objects.is_ok() || !sound_indexes, "{objects:?}");
    for (object, truth) in (0..).map(ObjectId::new).zip(&sound.answers) {
        let mut full = Timeline::new(object);
        let read = full.catch_up(&store);
        if sound_indexes {
            assert!(read.is_ok(), "{read:?}");
            assert_eq!(answers(&full), *truth, "the whole log is what it was");
        }
        for way in 0..4 {
            lazily(&store, object, way, sound_indexes.then_some(truth));
        }
    }
    let object = ObjectId::new(0);
    assert!(store.next_time(object) >= Timestamp::new(NOW));
    let _ = (store.era_is_due(object), store.pins(), store.window(object, &|_| true));
    clock.advance(Duration::from_secs(100 * 3600));
    for alive in [true, false] {
        let _ = store.evict_some(&|_| alive);
    }
    for object in (0..OBJECTS).map(ObjectId::new) {
        lazily(&store, object, 0, None);
        lazily(&store, object, 1, None);
    }
}

/// Reads little at first, then more of it by one way or another; asks everything after each step. `truth`: what the whole log answers, if it can be read.
fn lazily(store: &Store, object: ObjectId, way: u64, truth: Option<&String>) {
    let mut lazy = Timeline::lazy(object);
    let read = lazy.catch_up(store);
    assert!(read.is_ok() || truth.is_none(), "{read:?}");
    if read.is_err() {
        return;
    }
    check(&lazy, truth);
    let last = lazy.last().get();
    let back = match way {
        0 => lazy.read_back(store, Lsn::new(last / 2)),
        1 => lazy.read_back_era(store),
        2 => lazy.read_back_to(store, Timestamp::new(NOW + 20)),
        _ => lazy.read_back_for(store, Lsn::new(last), Lsn::new(last.saturating_sub(3))),
    };
    assert!(back.is_ok() || truth.is_none(), "{back:?}");
    check(&lazy, truth);
    // As far back as it goes.
    for lsn in [lazy.last(), lazy.earliest().map_or(Lsn::ORIGIN, |(first, _)| first), Lsn::new(2)] {
        let back = lazy.read_back(store, lsn);
        assert!(back.is_ok() || truth.is_none(), "{back:?}");
        assert!(back.is_err() || !lazy.lacks(lazy.last(), lsn), "{lsn} was read back");
    }
    check(&lazy, truth);
}

fn check(timeline: &Timeline, truth: Option<&String>) {
    questions(timeline);
    if let Some(truth) = truth
        && !timeline.believes_digests()
    {
        assert_eq!(answers(timeline), *truth, "what was read whole");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the target would try nothing but refusals.
    #[test]
    fn what_is_forged_is_sound_and_is_believed() {
        // In the one that was cut what is needed may stand in copies that are not sealed.
        for sound in &sound_eras()[..3] {
            let sealed = || sound.files.iter().filter(|(name, _)| name.ends_with(".zst"));
            assert!(sealed().count() >= 4);
            let kinds = sealed().flat_map(|(_, bytes)| {
                let mut kinds = Vec::new();
                forge_digest(bytes, &mut |digest| kinds.extend(digest.records.iter().map(|it| it.head.kind)))
                    .unwrap();
                kinds
            });
            let kinds: std::collections::HashSet<_> = kinds.collect();
            for kind in [Kind::Era, Kind::Mark, Kind::Rewind, Kind::Commit, Kind::Drop, Kind::Note] {
                assert!(kinds.contains(&kind), "{kind:?}");
            }
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in &sound.files {
                let made = match name.ends_with(".zst") {
                    true => {
                        forge_digest(bytes, &mut |digest| believable(digest, segment_size(bytes))).unwrap()
                    }
                    false => bytes.clone(),
                };
                fs::write(folder.path().join(name), made).unwrap();
            }
            let store = Store::open(folder.path(), &OPTIONS).unwrap();
            let mut lazy = Timeline::lazy(ObjectId::new(0));
            lazy.catch_up(&store).unwrap();
            assert!(lazy.believes_digests());
            check(&lazy, Some(&sound.answers[0]));
            // A digest that says that there is no mark is believed, and one that contradicts the rest is not.
            drop(store);
            for (forged, whole) in [(Kind::Mark, false), (Kind::Era, true)] {
                for (name, bytes) in sealed() {
                    let made = forge_digest(bytes, &mut |digest| {
                        digest.records.retain(|listed| listed.head.kind != forged);
                    });
                    fs::write(folder.path().join(name), made.unwrap()).unwrap();
                }
                let store = Store::open(folder.path(), &OPTIONS).unwrap();
                let mut lazy = Timeline::lazy(ObjectId::new(0));
                lazy.catch_up(&store).unwrap();
                assert_eq!(lazy.believes_digests(), !whole, "{forged:?}");
                let marks = lazy.marks().count();
                check(&lazy, Some(&sound.answers[0]));
                assert_eq!(marks > 2, whole, "{marks} marks");
            }
        }
    }

    /// A name that cannot be, in a digest: what its segment says of names is read instead, also by who evicts.
    #[test]
    fn hazard_a_digest_says_of_a_name_what_makes_no_sense() {
        for sound in &sound_eras()[..3] {
            let folder = tempfile::tempdir().unwrap();
            let mut forged = 0;
            for (name, bytes) in &sound.files {
                let made = forge_digest(bytes, &mut |digest| {
                    for listed in digest.records.iter_mut().filter(|listed| listed.head.kind == Kind::Object)
                    {
                        listed.body.truncate(3);
                        forged += 1;
                    }
                });
                fs::write(folder.path().join(name), made.unwrap_or_else(|| bytes.clone())).unwrap();
            }
            let clock = ManualClock::new(Timestamp::new(LATER));
            let store = Store::open_by(folder.path(), &OPTIONS, Clock::Manual(clock)).unwrap();
            assert!(forged > 0);
            let names: Vec<_> = store.objects().unwrap().into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, [".", "/b.db"]);
            store.window(ObjectId::new(0), &|_| true).unwrap();
            store.evict_some(&|_| true).unwrap();
        }
    }
}
