//! Stores written by the version that introduced their format: every later one reads them, byte for byte.
//!
//! They are written once, by `cargo test -p dbrewind-tests --test golden -- --ignored`, and never changed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

use std::fs;
use std::path::{Path, PathBuf};

use dbrewind_core::fuzzing::{FORMAT_VERSION, SEALED_VERSION, forge_control_header};
use dbrewind_core::{
    CommitBody, Cursor, Head, Key, Kind, Lsn, ObjectId, Store, StoreOptions, Timeline, boot_id,
};
use dbrewind_sqlite::{Database, MarkState, OpenOptions, SqliteApi};
use dbrewind_testkit::golden::{
    Bytes, DATABASE, PINS, STATES, STORE, STORY, attach, compare, compare_history, copy, digest, entries,
    pin_new, pins, still, write,
};

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

fn story(folder: &Path) -> String {
    fs::read_to_string(folder.join(STORY)).unwrap()
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
            compare(folder).unwrap();
        }
    });
}

#[test]
fn without_the_control_file_the_history_is_the_same() {
    with_copies(|folder| {
        fs::remove_file(folder.join(STORE).join("control")).unwrap();
        compare_history(folder).unwrap();
    });
}

/// The committed files are those that were written once, and are there all.
#[test]
fn every_byte_is_the_one_that_was_committed() {
    let pinned = fs::read_to_string(golden().join(PINS)).unwrap();
    let found = pins(&golden());
    for line in &found {
        assert!(pinned.lines().any(|pinned| pinned == line), "{line} is not what is pinned");
    }
    // Each is there once.
    assert_eq!(found.len(), pinned.lines().count(), "a file is gone");
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
    assert!(
        !digested || full.era().is_none() || all().any(|lsn| lazy.lacks(lazy.last(), lsn)),
        "everything was read"
    );
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

/// The notes of a volume are read: what is at rest is attached to with its history, and goes to all its marks.
#[test]
fn a_volume_goes_to_its_marks() {
    let folder = golden().join("1").join("volume");
    let scratch = tempfile::tempdir().unwrap();
    copy(&folder, scratch.path());
    let present = fs::read(folder.join(DATABASE)).unwrap();
    // On the machine that it was written on, and on another one.
    for boot in [boot_id(), ANOTHER_BOOT] {
        last_open_under(boot, &scratch.path().join(STORE));
        let content = Bytes::new(present.clone());
        let volume = attach(&scratch.path().join(STORE), &content).unwrap();
        let marks = volume.marks().unwrap();
        assert_eq!(marks.len(), 5);
        let now = volume.now().unwrap();
        for mark in marks {
            volume.rewind(mark.lsn).unwrap();
            assert!(
                content.content() == fs::read(folder.join(STATES).join(mark.lsn.to_string())).unwrap(),
                "{}",
                mark.name
            );
        }
        volume.rewind(now).unwrap();
        assert!(content.content() == present);
        volume.detach().unwrap();
    }
}

/// The boot id of no machine.
const ANOTHER_BOOT: [u8; 16] = [0xb0; 16];

/// The store was last open while the machine ran under this boot id.
fn last_open_under(boot: [u8; 16], store: &Path) {
    let path = store.join("control");
    let mut control = fs::read(&path).unwrap();
    let id = control[16..32].try_into().unwrap();
    let header = forge_control_header(id, boot);
    control[..header.len()].copy_from_slice(&header);
    fs::write(path, control).unwrap();
}

/// A rewind that ended in its midst is finished by what its intent says.
#[test]
fn a_volume_finishes_its_rewind() {
    let folder = golden().join("1").join("volume-rewinding");
    for (boot, lost) in [(boot_id(), 0), (ANOTHER_BOOT, 5)] {
        let scratch = tempfile::tempdir().unwrap();
        copy(&folder, scratch.path());
        let store = scratch.path().join(STORE);
        last_open_under(boot, &store);
        let (half, target) = (fs::read(folder.join(DATABASE)).unwrap(), intended(&store));
        let state = fs::read(folder.join(STATES).join(target.to_string())).unwrap();
        assert!(half != state);
        let content = Bytes::new(half);
        let volume = attach(&store, &content).unwrap();
        assert!(content.content() == state);
        let found = volume.marks().unwrap().iter().filter(|mark| mark.state == MarkState::Lost).count();
        assert_eq!(found, lost, "a power cut may have taken commits");
        volume.detach().unwrap();
    }
}

/// The target of the rewind that was announced last.
fn intended(store: &Path) -> u64 {
    let store = Store::open(store, &StoreOptions::default()).unwrap();
    let mut newest = None;
    store
        .scan(&mut Cursor::default(), &mut |head, at, _| {
            if head.kind == Kind::Note && head.key.get() == 34 {
                newest = Some(at);
            }
        })
        .unwrap();
    let body = store.read(newest.unwrap()).unwrap().body;
    u64::from_le_bytes(body[8..16].try_into().unwrap())
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
    write(&golden().join(FORMAT_VERSION.to_string()), Path::new(env!("CARGO_BIN_EXE_crash")));
    pin_new(&golden());
}
