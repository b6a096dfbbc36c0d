//! Stores written by the version that introduced their format: every later one reads them, byte for byte.
//!
//! They are written once, by `cargo test -p dbrewind-tests --test golden -- --ignored`, and never changed.
#![expect(clippy::unwrap_used, reason = "functions of a test")]

use std::fs;
use std::path::{Path, PathBuf};

use dbrewind_core::fuzzing::{FORMAT_VERSION, SEALED_VERSION};
use dbrewind_core::{CommitBody, Head, Key, Kind, Lsn, ObjectId, Store, StoreOptions, Timeline};
use dbrewind_sqlite::{Database, MarkState, OpenOptions, SqliteApi};
use dbrewind_testkit::golden::{DATABASE, STATES, STORE, STORY, copy, digest, entries, tell, write};
use dbrewind_testkit::image::Image;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// All golden folders of all versions.
fn folders() -> Vec<PathBuf> {
    let versions = entries(&golden()).into_iter().filter(|path| path.is_dir());
    versions.flat_map(|version| entries(&version)).collect()
}

/// Does something with a copy of each golden folder; the folder itself stays as it is.
fn with_copies(act: impl Fn(&Path)) {
    let folders = folders();
    assert!(folders.len() >= 4);
    for folder in folders {
        let before = digest(&folder);
        let scratch = tempfile::tempdir().unwrap();
        copy(&folder, scratch.path());
        act(scratch.path());
        assert_eq!(digest(&folder), before, "{}", folder.display());
    }
}

/// Without the bytes of a database that move forward, whatever moment it is at.
fn still(state: Vec<u8>) -> Vec<u8> {
    if state.starts_with(b"SQLite format 3\0") { Image::of_bytes(512, state).bytes } else { state }
}

fn story(folder: &Path) -> String {
    fs::read_to_string(folder.join(STORY)).unwrap()
}

/// The hash at the end of a state's line sums up the bytes that move forward as well, which a later round may have moved: what
/// counts of a state is compared byte for byte, with the file of it.
fn lines_equal(found: &str, expected: &str) {
    let told = |line: &str| match line.strip_prefix("  state at ") {
        Some(state) => state.rsplit_once(' ').map_or(String::new(), |(told, _)| told.to_owned()),
        None => line.to_owned(),
    };
    for (found, expected) in found.lines().zip(marks_as_set(expected)) {
        assert_eq!(told(found), told(expected));
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// The lines of a story, those of marks in the order they were set: stories that were told before that was the order have that of the log.
fn marks_as_set(story: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = story.lines().collect();
    let is_mark = |line: &&str| line.trim_start().starts_with("MarkEntry {");
    let number = |line: &str, before: &str| -> u64 {
        line.split_once(before).unwrap().1.split_once(')').unwrap().0.parse().unwrap()
    };
    lines.chunk_by_mut(|a, b| is_mark(a) == is_mark(b)).for_each(|group| {
        if group.first().is_some_and(is_mark) {
            group.sort_by_key(|line| (number(line, "lsn: Lsn("), number(line, "time: Timestamp(")));
        }
    });
    lines
}

#[test]
fn this_version_of_the_format_has_golden_stores() {
    assert!(golden().join(FORMAT_VERSION.to_string()).is_dir(), "version {FORMAT_VERSION} has none");
}

#[test]
fn records_marks_moments_and_states_are_what_they_were() {
    with_copies(|folder| {
        // The first time the machine was started anew since, the second time it was not.
        for _ in 0..2 {
            let told = tell(&folder.join(STORE), &folder.join(DATABASE)).unwrap();
            lines_equal(&(told.history + &told.registers), &story(folder));
            let mut seen = Vec::new();
            for (lsn, state) in told.states {
                let expected = fs::read(folder.join(STATES).join(lsn.to_string())).unwrap();
                assert!(still(state) == still(expected), "{}: the state at {lsn}", folder.display());
                seen.push(lsn.to_string());
            }
            for path in entries(&folder.join(STATES)) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                // One whose mark was dropped is there to be looked at only.
                assert!(seen.contains(&name) || story(folder).contains("Drop"), "nobody goes to {name}");
            }
        }
    });
}

#[test]
fn without_the_control_file_the_history_is_the_same() {
    with_copies(|folder| {
        fs::remove_file(folder.join(STORE).join("control")).unwrap();
        let told = tell(&folder.join(STORE), &folder.join(DATABASE)).unwrap();
        lines_equal(&told.history, &story(folder).replace(&told_registers(folder), ""));
    });
}

fn told_registers(folder: &Path) -> String {
    story(folder).lines().filter(|line| line.contains("registers")).map(|line| format!("{line}\n")).collect()
}

/// The copy is another file, so nothing in it can be gone to; but it is listed, and the database stays as it is.
#[test]
fn the_adapter_lists_the_marks_of_a_copy() {
    with_copies(|folder| {
        let path = folder.join(DATABASE);
        let before = fs::read(&path).unwrap();
        if !before.starts_with(b"SQLite format 3\0") {
            return;
        }
        let options = OpenOptions { store: Some(folder.join(STORE)), ..OpenOptions::default() };
        let database = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
        let marks = database.marks().unwrap();
        assert!(marks.len() >= 5);
        for mark in marks {
            assert_eq!(mark.state, MarkState::Lost);
            let told = format!("name: MarkName({:?}), lsn: Lsn({})", mark.name, mark.lsn);
            assert!(story(folder).contains(&told), "{told}");
        }
        database.close().unwrap();
        assert!(still(fs::read(&path).unwrap()) == still(before), "the database was changed");
    });
}

/// The layouts of the sealed segments in a folder.
fn layouts(folder: &Path) -> Vec<u32> {
    let sealed = entries(&folder.join(STORE))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "zst"));
    sealed
        .map(|path| {
            let bytes = fs::read(path).unwrap();
            u32::from_le_bytes(bytes.get(16..20).unwrap().try_into().unwrap())
        })
        .collect()
}

#[test]
fn each_layout_of_sealed_segments_has_golden_ones() {
    for layout in 1..=SEALED_VERSION {
        let there: usize = folders()
            .iter()
            .map(|folder| layouts(folder).into_iter().filter(|found| *found == layout).count())
            .sum();
        assert!(there >= 2, "layout {layout} has {there}");
    }
}

/// The newest segment that bodies of a sealed file are made of.
fn reach(path: &Path) -> u32 {
    let bytes = fs::read(path).unwrap();
    let index = usize::try_from(u64::from_le_bytes(bytes.get(56..64).unwrap().try_into().unwrap())).unwrap();
    u32::from_le_bytes(bytes.get(index + 20..index + 24).unwrap().try_into().unwrap())
}

#[test]
fn golden_segments_lean_on_others() {
    let leans = |folder: &Path| {
        let files = entries(&folder.join(STORE)).into_iter();
        files.filter(|path| path.extension().is_some_and(|end| end == "zst") && reach(path) > 0).count()
    };
    assert!(folders().iter().map(|folder| leans(folder)).sum::<usize>() > 0);
}

/// What digests tell, and what is read when somebody asks for more, is what the whole log tells.
fn read_lazily(store: &Store, object: ObjectId, digested: bool) {
    let mut full = Timeline::new(object);
    full.catch_up(store).unwrap();
    let fresh = || {
        let mut lazy = Timeline::lazy(object);
        lazy.catch_up(store).unwrap();
        lazy
    };
    let lazy = fresh();
    assert_eq!((lazy.era(), lazy.last(), lazy.highest()), (full.era(), full.last(), full.highest()));
    assert_eq!(lazy.earliest(), full.earliest());
    assert!(lazy.marks().eq(full.marks()) && lazy.rewinds() == full.rewinds());
    let all = || (0..=full.highest().get() + 1).map(Lsn::new);
    // What has no digest is read, but not known to have been.
    assert!(!digested || all().any(|lsn| lazy.lacks(lazy.last(), lsn)), "everything was read");
    for lsn in all() {
        let mut lazy = fresh();
        lazy.read_back(store, lsn).unwrap();
        assert_eq!(lazy.plan(lazy.last(), lsn), full.plan(full.last(), lsn), "{lsn}");
        assert_eq!(lazy.reachable(lsn), full.reachable(lsn), "{lsn}");
        assert_eq!(
            (lazy.time_of(lsn), lazy.extent_at(lsn)),
            (full.time_of(lsn), full.extent_at(lsn)),
            "{lsn}"
        );
    }
}

#[test]
fn who_reads_little_at_first_is_told_the_same() {
    with_copies(|folder| {
        let store = Store::open(&folder.join(STORE), &StoreOptions::default()).unwrap();
        for (object, _) in store.objects().unwrap() {
            read_lazily(&store, object, layouts(folder).iter().any(|layout| *layout > 1));
        }
    });
}

/// A store that was sealed in part by an older program goes on with this one.
#[test]
fn sealed_segments_of_different_layouts_stand_side_by_side() {
    let scratch = tempfile::tempdir().unwrap();
    copy(&golden().join("1").join("sealed"), scratch.path());
    let store = Store::open(&scratch.path().join(STORE), &StoreOptions::default()).unwrap();
    let object = store.objects().unwrap().first().unwrap().0;
    let mut timeline = Timeline::new(object);
    timeline.catch_up(&store).unwrap();
    let (first, extent) = (timeline.last().get() + 1, timeline.extent_at(timeline.last()).unwrap());
    for lsn in first..first + 300 {
        let head = |kind, key| Head::new(kind, object, Key::new(key), Lsn::new(lsn));
        store.append(head(Kind::After, 1 + lsn % extent.get()), &[&[lsn as u8; 512]]).unwrap();
        let body = CommitBody { time: store.next_time(object), extent };
        store.append(head(Kind::Commit, 0), &[&body.encode()]).unwrap();
        store.raise_last_lsn(object, Lsn::new(lsn));
    }
    while store.seal_some().unwrap().is_some() {}
    let mut layouts = layouts(scratch.path());
    layouts.dedup();
    assert_eq!(layouts, [1, SEALED_VERSION]);
    read_lazily(&store, object, true);
}

#[test]
fn one_was_cut_by_eviction() {
    let cut: Vec<PathBuf> =
        folders().into_iter().filter(|folder| folder.join(STORE).join("window").exists()).collect();
    assert!(!cut.is_empty());
    for folder in cut {
        assert!(!folder.join(STORE).join("0000000000000001.seg").exists());
        assert!(story(&folder).contains("evicted: true") && story(&folder).contains("stand_in: Some"));
    }
}

#[test]
#[ignore = "writes the golden stores of a new version of the format"]
fn write_the_golden_stores_of_this_version() {
    write(&golden().join(FORMAT_VERSION.to_string()));
}
