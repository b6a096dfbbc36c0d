//! Targets `store`, `sealed` and `window`: a sound store is damaged as the input says, then opened, read, written to and opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use dbrewind_core::fuzzing::{
    Forged, forge_control_header, forge_record, forge_sealed, forge_segment_header, forge_window, forge_word,
    questions,
};
use dbrewind_core::{Code, Cursor, Head, Key, Kind, Location, Lsn, ObjectId, Store, Timeline};

use super::folder::{OPTIONS, Sound, scratch, sound, sound_cut, sound_sealed};
use super::input::{Input, put};

/// What the machine calls itself since it was started; any other id is from before.
const OTHER_BOOT: [u8; 16] = [0xb0; 16];
const MOST_STEPS: usize = 12;

/// Damages a store as the bytes say. It opens or is refused with the right number; what can be read is what was
/// written; who appends to it finds that again.
pub fn store(data: &[u8]) {
    damaged(data, sound(), &step);
}

/// The same with stores of sealed segments.
pub fn sealed(data: &[u8]) {
    damaged(data, sound_sealed(), &|input, files, forged| match input.byte() % 4 {
        0 => step(input, files, forged),
        _ => step_sealed(input, files, forged),
    });
}

/// The same with stores whose beginning was evicted.
pub fn window(data: &[u8]) {
    damaged(data, sound_cut(), &|input, files, forged| match input.byte() % 4 {
        0 => step(input, files, forged),
        1 => step_sealed(input, files, forged),
        _ => step_window(input, files),
    });
}

type Step = dyn Fn(&mut Input<'_>, &mut BTreeMap<String, Vec<u8>>, &mut BTreeSet<(u64, u32)>);

fn damaged(data: &[u8], sounds: &[Sound], step: &Step) {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let mut input = Input(data);
    let sound = &sounds[usize::from(input.byte()) % sounds.len()];
    let mut files = sound.files.clone();
    let mut forged = BTreeSet::new();
    for _ in 0..MOST_STEPS {
        if input.0.is_empty() {
            break;
        }
        step(&mut input, &mut files, &mut forged);
    }
    let dir = scratch().join(RUN.fetch_add(1, Ordering::Relaxed).to_string());
    fs::create_dir(&dir).expect("a folder");
    for (name, bytes) in &files {
        fs::write(dir.join(name), bytes).expect("a file");
    }
    examine(&dir, sound, &files, &forged);
    fs::remove_dir_all(&dir).expect("no folder");
}

/// One piece of damage.
fn step(input: &mut Input<'_>, files: &mut BTreeMap<String, Vec<u8>>, forged: &mut BTreeSet<(u64, u32)>) {
    let kind = input.byte() % 16;
    let names: Vec<String> = files.keys().cloned().collect();
    let Some(name) = names.get(input.below(names.len())).cloned() else { return };
    let Some(bytes) = files.get_mut(&name) else { return };
    let at = input.below(bytes.len());
    let segment = name.strip_suffix(".seg").and_then(|id| u64::from_str_radix(id, 16).ok());
    let short = segment.unwrap_or(0) as u32;
    let eighth = at - at % 8;
    match kind {
        0 | 1 => {
            let mask = input.byte();
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
        }
        2 => put(bytes, at, input.bytes(8)),
        3 => bytes.truncate(at),
        4 => bytes.resize(bytes.len() + usize::from(input.byte()) * 8, 0),
        5 => drop(files.remove(&name)),
        6 => {
            let copy = bytes.clone();
            files.insert(format!("{:016x}.seg", input.byte() % 8), copy);
        }
        7 => {
            // A header that is right but for one of its fields.
            let store = bytes.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or([7; 16]);
            let (mut id, mut size) = (segment.unwrap_or(1), bytes.len() as u64);
            match input.byte() % 4 {
                0 => id = u64::from(input.byte()),
                1 => size = input.below(1 << 16) as u64,
                _ => {}
            }
            if input.byte() & 1 == 1 {
                bytes.resize(size as usize, 0);
            }
            put(bytes, 0, &forge_segment_header(store, id, size));
        }
        8 | 9 => {
            let state = match input.byte() {
                state if state & 1 == 0 => Forged::Reserved(u16::from(input.byte() % 4), u16::from(state)),
                state if state & 2 == 0 => Forged::Aborted,
                _ => {
                    forged.insert((u64::from(short), eighth as u32));
                    Forged::Committed
                }
            };
            let len = input.below(1 << 16) as u32;
            put(bytes, eighth, &forge_word(short, eighth as u32, state, len));
        }
        10 => {
            let Some(kind) = Kind::from_raw(input.byte() % 14) else { return };
            let object = ObjectId::new(u32::from(input.byte() % 3));
            let (key, lsn) = (u64::from(input.byte()), u64::from(input.byte()));
            let lsn = if lsn > 250 { u64::MAX - lsn + 251 } else { lsn };
            let head = Head { kind, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn) };
            let len = usize::from(input.byte());
            let body = input.bytes(len);
            forged.insert((u64::from(short), eighth as u32));
            let record = forge_record(short, eighth as u32, head, body);
            put(bytes, eighth, &record);
        }
        11 => {
            let len = input.below(bytes.len());
            bytes.iter_mut().skip(at).take(len).for_each(|byte| *byte = 0);
        }
        12 => {
            // As after a restart of the machine, or with the control file of another store.
            let control = files.entry("control".into()).or_default();
            let id: [u8; 16] = control.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or([7; 16]);
            let id = if input.byte() < 230 { id } else { [9; 16] };
            put(control, 0, &forge_control_header(id, OTHER_BOOT));
        }
        13 => {
            let control = files.entry("control".into()).or_default();
            let words = [128, 192, 320, 4096, 4112, 20480, 20488, 20544, 20552];
            let at = words[usize::from(input.byte()) % words.len()];
            put(control, at, input.bytes(8));
        }
        14 => {
            let from = input.below(bytes.len());
            let len = 8 * usize::from(input.byte());
            let piece: Vec<u8> = bytes.iter().skip(from).take(len).copied().collect();
            put(bytes, at, &piece);
        }
        _ => {
            let name = ["0000000000000009.seg.tmp", "0000000000000002.seg", "guard-0-a", "x.seg", "control"];
            let name = name[usize::from(input.byte()) % name.len()];
            files.insert(name.into(), input.bytes(80).to_vec());
        }
    }
}

/// A segment of which everything is forged.
const ALL: u32 = u32::MAX;

/// One piece of damage of a sealed segment.
fn step_sealed(
    input: &mut Input<'_>,
    files: &mut BTreeMap<String, Vec<u8>>,
    forged: &mut BTreeSet<(u64, u32)>,
) {
    let names: Vec<String> = files.keys().filter(|name| name.ends_with(".zst")).cloned().collect();
    let kind = input.byte() % 8;
    let Some(name) = names.get(input.below(names.len())).cloned() else { return };
    let Some(bytes) = files.get_mut(&name) else { return };
    let at = input.below(bytes.len());
    match kind {
        0 => {
            let mask = input.byte();
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
        }
        1 => bytes.truncate(at),
        2 => put(bytes, at, input.bytes(16)),
        3 => {
            let copy = bytes.clone();
            files.insert(format!("{:016x}.zst", input.byte() % 8), copy);
        }
        4 => drop(files.remove(&name)),
        // An index that says something else, past all hashes.
        _ => {
            let (many, len) = (1 + input.byte() % 3, usize::from(input.byte() % 8));
            let places: Vec<_> = (0..many).map(|_| input.below(1 << 16)).collect();
            let piece = input.bytes(len).to_vec();
            let counts = if input.byte().is_multiple_of(4) { Some(input.byte() % 12) } else { None };
            let change = &mut |columns: &mut Vec<u8>| {
                for place in &places {
                    let place = place % columns.len().max(1);
                    if piece.len().is_multiple_of(2) {
                        put(columns, place, &piece);
                    } else {
                        columns.splice(place..place, piece.iter().copied());
                    }
                }
            };
            if let Some(made) = forge_sealed(bytes, counts, change) {
                *bytes = made;
                let id = name.strip_suffix(".zst").and_then(|id| u64::from_str_radix(id, 16).ok());
                // By whatever number it is read, should it be copied.
                forged.extend((0..9).chain(id).map(|id| (id, ALL)));
            }
        }
    }
}

/// One piece of damage of the file that says where the log begins, or what an eviction that was killed leaves.
fn step_window(input: &mut Input<'_>, files: &mut BTreeMap<String, Vec<u8>>) {
    let window = files.get("window").cloned().unwrap_or_default();
    let at = input.below(window.len());
    let mut changed = window.clone();
    match input.byte() % 8 {
        0 => {
            let mask = input.byte();
            changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
        }
        1 => changed.truncate(at),
        2 => put(&mut changed, at, input.bytes(16)),
        3 => changed.extend_from_slice(input.bytes(8)),
        4 => {
            files.remove("window");
            return;
        }
        5 => {
            // A segment that was not removed yet, or somebody else's.
            let names: Vec<String> = files.keys().filter(|name| name.contains(".seg")).cloned().collect();
            let from = names.get(input.below(names.len())).and_then(|name| files.get(name)).cloned();
            let ending = if input.byte().is_multiple_of(3) { "zst" } else { "seg" };
            files.insert(format!("{:016x}.{ending}", input.byte() % 8), from.unwrap_or_default());
            return;
        }
        // One that is right, and says something else.
        kind => {
            let mut id: [u8; 16] = window.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or([7; 16]);
            id[0] ^= u8::from(kind == 7 && input.byte().is_multiple_of(2));
            changed = forge_window(id, u32::from(input.byte() % 12));
        }
    }
    let name = if input.byte().is_multiple_of(5) { "window.tmp" } else { "window" };
    files.insert(name.to_owned(), changed);
}

fn examine(dir: &Path, sound: &Sound, files: &BTreeMap<String, Vec<u8>>, forged: &BTreeSet<(u64, u32)>) {
    let store = match Store::open(dir, &OPTIONS) {
        Ok(store) => store,
        Err(error) => {
            let code = error.code();
            assert!(matches!(code, Code::StoreDamaged | Code::StoreVersion), "{code}: {error}");
            return unchanged(dir, files);
        }
    };
    read_all(&store, sound, forged);
    let _ = store.objects();
    for object in 0..3 {
        let mut timeline = Timeline::new(ObjectId::new(object));
        if timeline.catch_up(&store).is_ok() {
            questions(&timeline);
        }
        let mut timeline = Timeline::lazy(ObjectId::new(object));
        if timeline.catch_up(&store).is_ok() {
            questions(&timeline);
            let back = timeline.read_back(&store, Lsn::new(timeline.last().get() / 2));
            if back.and_then(|()| timeline.read_back_era(&store)).is_ok() {
                questions(&timeline);
            }
        }
        let _ = (store.last_lsn(ObjectId::new(object)), store.broken(ObjectId::new(object)));
    }
    let _ = store.sync();
    let object = ObjectId::new(2);
    let head = Head { kind: Kind::Note, flags: 0, object, key: Key::new(77), lsn: Lsn::new(5) };
    let body = [0x5a; 700];
    let mut appended = Vec::new();
    for _ in 0..3 {
        match store.append(head, &[&body]) {
            Ok(at) => appended.push(at),
            Err(error) => {
                let code = error.code();
                assert!(matches!(code, Code::StoreDamaged | Code::StoreVersion), "{code}: {error}");
            }
        }
    }
    let _ = store.object("new", 8);
    let same = |store: &Store| {
        for at in &appended {
            let found = store.read(*at).expect("what was appended is there");
            assert_eq!((found.head, found.body.as_slice()), (head, body.as_slice()));
        }
    };
    same(&store);
    drop(store);
    if appended.len() == 3 {
        match Store::open(dir, &OPTIONS) {
            Ok(store) => {
                same(&store);
                read_all(&store, sound, forged);
            }
            // It opened before; but the log has come to stray bytes that stood behind its end.
            Err(error) => {
                assert!(matches!(error.code(), Code::StoreDamaged | Code::StoreVersion), "{error}");
                assert!(stray(files, appended[0], body.len()), "it opened before: {error}");
            }
        }
    }
}

/// Whether there were bytes that are not zero behind this record, before it was there.
fn stray(files: &BTreeMap<String, Vec<u8>>, at: Location, len: usize) -> bool {
    let end = at.offset() as usize + (40 + len).next_multiple_of(8);
    let before = files.get(&format!("{:016x}.seg", at.segment().get()));
    before.is_some_and(|bytes| bytes.iter().skip(end).any(|byte| *byte != 0))
}

/// Whatever can be read was written, at that place; it comes in log order.
fn read_all(store: &Store, sound: &Sound, forged: &BTreeSet<(u64, u32)>) {
    let mut found = Vec::new();
    let scanned = store.scan(&mut Cursor::default(), &mut |head, at, len| found.push((head, at, len)));
    if let Err(error) = scanned {
        let code = error.code();
        assert!(matches!(code, Code::StoreDamaged | Code::StoreVersion), "{code}: {error}");
    }
    assert!(found.is_sorted_by(|(_, a, _), (_, b, _)| a < b));
    let mut body = Vec::new();
    for (head, at, len) in found {
        match store.read_into(at, &mut body) {
            Ok(read) => {
                assert_eq!((read, body.len()), (head, len as usize));
                let place = (at.segment().get(), at.offset());
                let own = head.key == Key::new(77) || head.kind == Kind::Object;
                let written =
                    sound.records.get(&place).is_some_and(|was| was.head == head && was.body == body);
                let forged = forged.contains(&place) || forged.contains(&(place.0, ALL));
                assert!(own || written || forged, "nobody wrote {head:?} at {at}");
            }
            Err(error) => {
                let code = error.code();
                assert!(matches!(code, Code::StoreDamaged | Code::StoreVersion), "{code}: {error}");
            }
        }
    }
}

/// Whether a whole file `window`, which names a segment that is there, says that this one was evicted.
fn said_evicted(files: &BTreeMap<String, Vec<u8>>, name: &str) -> bool {
    let window = files.get("window").filter(|bytes| bytes.len() == 48);
    let first = window.and_then(|bytes| bytes.get(32..40)).and_then(|first| first.try_into().ok());
    let first = first.map_or(0, u64::from_le_bytes);
    let is_there = ["seg", "zst"].iter().any(|ending| files.contains_key(&format!("{first:016x}.{ending}")));
    is_there && name.get(..16).and_then(|id| u64::from_str_radix(id, 16).ok()).is_some_and(|id| id < first)
}

/// A store that is refused is left alone: but for reservations of the dead, which may have been given up.
fn unchanged(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".seg")) {
        let Ok(now) = fs::read(dir.join(name)) else {
            // Its sealed file was there, and whole.
            let sealed = dir.join(name.replace(".seg", ".zst")).exists();
            assert!(sealed || said_evicted(files, name), "{name} is gone");
            continue;
        };
        assert_eq!(now.len(), bytes.len(), "{name}");
        for (at, (before, after)) in bytes.as_chunks::<8>().0.iter().zip(now.as_chunks::<8>().0).enumerate() {
            let reserved = u64::from_le_bytes(*before) >> 62 == 1;
            assert!(before == after || reserved, "{name} was changed at {}", at * 8);
        }
    }
}
