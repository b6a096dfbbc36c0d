//! That golden stores are compared at all: a copy of each is damaged in many places, and the comparison has to say so each time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

use std::fs;
use std::path::{Path, PathBuf};

use dbrewind_core::fuzzing::forge_record;
use dbrewind_core::{Cursor, Kind, Lsn, MarkBody, MarkName, Store, StoreOptions};
use dbrewind_testkit::golden::{DATABASE, STATES, STORE, STORY, compare, copy, digest, entries, still};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn folders() -> Vec<PathBuf> {
    let versions = entries(&golden()).into_iter().filter(|path| path.is_dir());
    versions.flat_map(|version| entries(&version)).collect()
}

/// Whether the comparison reports a copy of a golden folder in which something was done.
fn is_reported(folder: &Path, act: impl FnOnce(&Path)) -> bool {
    let before = digest(folder);
    let scratch = tempfile::tempdir().unwrap();
    copy(folder, scratch.path());
    act(scratch.path());
    let reported = compare(scratch.path()).is_err();
    assert_eq!(digest(folder), before, "{} was changed", folder.display());
    reported
}

/// Some of these, evenly, the first and the last among them.
fn some(all: &[usize], most: usize) -> Vec<usize> {
    if all.len() <= most {
        return all.to_vec();
    }
    (0..most).map(|n| all[n * (all.len() - 1) / (most - 1)]).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.get_mut(at).unwrap() ^= 0x04;
    fs::write(path, bytes).unwrap();
}

/// Where a file says something: what is not zero. Of a sealed one without the digest, which is for those who read little at first, and the table at its end,
/// which is for other programs.
fn telling(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let sealed = path.extension().is_some_and(|end| end == "zst");
    let counts = |at: usize| {
        if !sealed {
            return true;
        }
        let (version, index) = (number(16, 4), number(56, 8));
        let digest = if version == 1 { 80..80 } else { 80..80 + 8 + number(84, 4) };
        !digest.contains(&at) && at < index + 8 + number(index + 4, 4)
    };
    (0..bytes.len()).filter(|at| bytes[*at] != 0 && counts(*at)).collect()
}

fn store_files(folder: &Path) -> Vec<PathBuf> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let log = |path: &PathBuf| {
        name(path).ends_with(".seg") || name(path).ends_with(".zst") || name(path) == "window"
    };
    entries(&folder.join(STORE)).into_iter().filter(log).collect()
}

/// Each of the log as it was written. In a packed frame there are bits that no content depends on: of those most.
#[test]
fn a_flipped_byte_of_the_log_is_reported() {
    for folder in folders() {
        for file in store_files(&folder) {
            let name = file.file_name().unwrap();
            let packed = name.to_str().unwrap().ends_with(".zst");
            let places = some(&telling(&file), 16);
            let silent = |at: &usize| !is_reported(&folder, |copy| flip(&copy.join(STORE).join(name), *at));
            let silent: Vec<usize> = places.iter().copied().filter(silent).collect();
            let allowed = if packed { places.len() / 4 } else { 0 };
            assert!(silent.len() <= allowed, "{}: bytes {silent:?} can be others", file.display());
        }
    }
}

/// The shared words of each object that the story tells.
#[test]
fn a_flipped_register_is_reported() {
    let mut tried = 0;
    for folder in folders() {
        let control = fs::read(folder.join(STORE).join("control")).unwrap();
        for object in 0..2 {
            let registers = 20480 + object * 128 + 8;
            let told: Vec<usize> = (registers..registers + 7 * 8).filter(|at| control[*at] != 0).collect();
            for at in some(&told, 4) {
                let reported = is_reported(&folder, |copy| flip(&copy.join(STORE).join("control"), at));
                assert!(reported, "{}: byte {at} of control can be another one", folder.display());
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

/// The numbers of the marks whose state a story tells.
fn told_states(folder: &Path) -> Vec<String> {
    let story = fs::read_to_string(folder.join(STORY)).unwrap();
    let states = story.lines().filter_map(|line| line.strip_prefix("  state at "));
    states.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_flipped_byte_of_a_state_is_reported() {
    for folder in folders() {
        let states = told_states(&folder);
        assert!(states.len() >= 3, "{}: {states:?}", folder.display());
        for state in states {
            let path = Path::new(STATES).join(&state);
            let bytes = fs::read(folder.join(&path)).unwrap();
            let counts = |at: &usize| {
                let mut changed = bytes.clone();
                changed[*at] ^= 0x04;
                still(changed) != still(bytes.clone())
            };
            for at in some(&(0..bytes.len()).step_by(7).collect::<Vec<_>>(), 8).into_iter().filter(counts) {
                let reported = is_reported(&folder, |copy| flip(&copy.join(&path), at));
                assert!(reported, "{}: byte {at} of state {state} can be another one", folder.display());
            }
            assert!(is_reported(&folder, |copy| fs::remove_file(copy.join(&path)).unwrap()));
        }
    }
}

#[test]
fn a_flipped_letter_of_each_line_of_the_story_is_reported() {
    for folder in folders() {
        let story = fs::read_to_string(folder.join(STORY)).unwrap();
        let lines: Vec<&str> = story.lines().collect();
        for which in some(&(0..lines.len()).collect::<Vec<_>>(), 20) {
            let line = lines[which];
            let start: usize = lines[..which].iter().map(|line| line.len() + 1).sum();
            // In the middle, but for a state's hash, which sums up bytes that may move forward.
            let at = start + if line.starts_with("  state at ") { 11 } else { line.len() / 2 };
            if story.is_char_boundary(at) && story.is_char_boundary(at + 1) {
                let reported = is_reported(&folder, |copy| flip(&copy.join(STORY), at));
                assert!(reported, "{}: {line}", folder.display());
            }
        }
    }
}

/// What states are made of beside the store: what was not overwritten since. Some have nothing of it.
#[test]
fn a_change_of_the_database_is_reported() {
    let counts = |folder: &PathBuf| {
        let len = fs::metadata(folder.join(DATABASE)).unwrap().len() as usize;
        let places = some(&(120..len).step_by(64).collect::<Vec<_>>(), 24);
        places.into_iter().any(|at| is_reported(folder, |copy| flip(&copy.join(DATABASE), at)))
    };
    let counting = folders().into_iter().filter(counts).count();
    assert!(counting >= 4, "of {counting} folders");
}

/// Puts another record in the place of a mark's, with the right hashes.
fn change_mark(
    folder: &Path,
    which: usize,
    change: impl Fn(&mut dbrewind_core::Head, &mut MarkBody<'_>),
) -> bool {
    let dir = folder.join(STORE);
    let (head, at, body) = {
        let store = Store::open(&dir, &StoreOptions::default()).unwrap();
        let mut marks = Vec::new();
        store
            .scan(&mut Cursor::default(), &mut |head, at, _| {
                let raw = dir.join(format!("{:016x}.seg", at.segment().get())).exists();
                if head.kind == Kind::Mark && raw {
                    marks.push((head, at));
                }
            })
            .unwrap();
        let Some((head, at)) = marks.get(which).copied() else { return false };
        (head, at, store.read(at).unwrap().body)
    };
    let (mut head, mut mark) = (head, MarkBody::decode(&body).unwrap());
    change(&mut head, &mut mark);
    let record = forge_record(at.segment().get() as u32, at.offset(), head, &mark.encode());
    let path = dir.join(format!("{:016x}.seg", at.segment().get()));
    let mut bytes = fs::read(&path).unwrap();
    let place = at.offset() as usize;
    bytes[place..place + record.len()].copy_from_slice(&record);
    fs::write(&path, bytes).unwrap();
    true
}

#[test]
fn a_changed_mark_is_reported() {
    type Change = fn(&mut dbrewind_core::Head, &mut MarkBody<'_>);
    let changes: [Change; 4] = [
        |head, _| head.lsn = Lsn::new(head.lsn.get() ^ 1),
        |head, _| head.flags ^= 1,
        |_, mark| mark.time = dbrewind_core::Timestamp::new(mark.time.get() + 1),
        |_, mark| {
            let mut name = mark.name.as_str().to_owned();
            let last = name.pop().unwrap();
            name.push(if last == 'x' { 'y' } else { 'x' });
            mark.name = MarkName::new(&name).unwrap();
        },
    ];
    let mut changed = 0;
    for folder in folders() {
        for which in 0..2 {
            for change in changes {
                let mut done = false;
                let reported = is_reported(&folder, |copy| done = change_mark(copy, which, change));
                assert_eq!(reported, done, "{}: mark {which}", folder.display());
                changed += usize::from(done);
            }
        }
    }
    assert!(changed >= 32, "{changed}");
}
