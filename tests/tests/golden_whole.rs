//! Whatever today's code writes into a store is in a golden one: what is listed here is read from the code's own tables, so that something new has
//! no golden store until somebody makes one.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "functions of a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dbrewind_core::fuzzing::{FORMS_OF_BODIES, SEALED_VERSION, forms_of_bodies};
use dbrewind_core::{Cursor, EraBody, Head, Kind, Location, Store, StoreOptions};
use dbrewind_testkit::golden::{STORE, STORY, copy, entries};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folders() -> Vec<PathBuf> {
    let versions = entries(&here().join("golden")).into_iter().filter(|path| path.is_dir());
    versions.flat_map(|version| entries(&version)).collect()
}

fn stories() -> Vec<String> {
    folders().iter().map(|folder| fs::read_to_string(folder.join(STORY)).unwrap()).collect()
}

/// A record of a golden store.
struct Found {
    head: Head,
    at: Location,
    len: u32,
    /// Only of eras and objects.
    body: Vec<u8>,
    /// Of the sealed segment it is in, the version of the layout.
    layout: Option<u32>,
}

fn records(folder: &Path) -> Vec<Found> {
    let scratch = tempfile::tempdir().unwrap();
    copy(folder, scratch.path());
    let dir = scratch.path().join(STORE);
    let store = Store::open(&dir, &StoreOptions::default()).unwrap();
    let mut found = Vec::new();
    store.scan(&mut Cursor::default(), &mut |head, at, len| found.push((head, at, len))).unwrap();
    let mut layouts = BTreeMap::new();
    let mut all = Vec::new();
    for (head, at, len) in found {
        let layout = *layouts.entry(at.segment()).or_insert_with(|| {
            let bytes = fs::read(dir.join(format!("{:016x}.zst", at.segment().get()))).ok()?;
            Some(u32::from_le_bytes(bytes[16..20].try_into().unwrap()))
        });
        let wanted = matches!(head.kind, Kind::Era | Kind::Object);
        let body = if wanted { store.read(at).unwrap().body } else { Vec::new() };
        all.push(Found { head, at, len, body, layout });
    }
    all
}

fn all_records() -> Vec<Found> {
    folders().iter().flat_map(|folder| records(folder)).collect()
}

#[test]
fn each_kind_of_record_is_in_one_raw_and_sealed() {
    let records = all_records();
    for kind in (0..=255).filter_map(Kind::from_raw).filter(|kind| *kind != Kind::End) {
        for layout in [None, Some(SEALED_VERSION)] {
            let there = records.iter().any(|found| found.head.kind == kind && found.layout == layout);
            assert!(there, "{kind:?}, layout {layout:?}");
        }
    }
}

/// The end of a segment is a record that no reader is shown: it stands behind the last one that is.
#[test]
fn the_end_of_a_segment_is_in_one() {
    let ends = |folder: &PathBuf| {
        let mut last: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for found in records(folder) {
            last.insert(found.at.segment().get(), (found.at.offset(), found.len));
        }
        last.into_iter().any(|(segment, (offset, len))| {
            let log = fs::read(folder.join(STORE).join(format!("{segment:016x}.seg"))).unwrap_or_default();
            let behind = (offset as usize + 40 + len as usize).next_multiple_of(8);
            // Behind its word.
            log.get(behind + 8) == Some(&255)
        })
    };
    assert!(folders().iter().any(ends));
}

/// The numbers that are declared in a source between two places: name and value.
fn constants<'a>(source: &'a str, begin: &str, end: &str) -> Vec<(&'a str, u64)> {
    let from = source.find(begin).expect("what the source has");
    let part = &source[from..];
    let part = &part[..part.find(end).unwrap_or(part.len())];
    let lines = part.lines().filter_map(|line| line.trim().split_once("const "));
    let number = |rest: &'a str| {
        let (name, rest) = rest.split_once(": ")?;
        let (_, value) = rest.split_once(" = ")?;
        Some((name, value.trim_end_matches(';').parse().ok()?))
    };
    lines.filter_map(|(_, rest)| number(rest)).collect()
}

fn source(path: &str) -> String {
    fs::read_to_string(here().join("../rust").join(path)).expect("a source")
}

#[test]
fn each_note_is_in_one_and_its_story_says_what_it_is() {
    let stories = stories();
    let tagged = ["sqlite/src/notes/mod.rs", "volume/src/intent.rs"].map(source);
    let tags: Vec<_> = tagged.iter().flat_map(|text| constants(text, "mod tag {", "\n}")).collect();
    assert!(tags.len() >= 9, "{tags:?}");
    for (name, tag) in tags {
        let told = |line: &str| {
            let (record, rest) = line.split_once(" bytes ")?;
            // The hash of the body, then what it says.
            Some(record.contains(": Note ") && record.contains(&format!(" key {tag} ")) && rest.len() > 17)
        };
        let there = stories.iter().flat_map(|story| story.lines()).any(|line| told(line) == Some(true));
        assert!(there, "the note {name} (tag {tag}) is in no golden store");
    }
}

#[test]
fn each_flag_of_a_record_is_in_one() {
    let records = all_records();
    let source = source("core/src/format/head.rs");
    let mut tried = 0;
    let mut about = "";
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("/// Flag of a `") {
            about = rest.split('`').next().unwrap();
        }
        for (name, flag) in
            if line.starts_with("pub const ") { constants(line, "pub", "\n") } else { Vec::new() }
        {
            let has = |found: &&Found| {
                format!("{:?}", found.head.kind).to_uppercase() == about
                    && u64::from(found.head.flags) & flag != 0
            };
            assert!(records.iter().any(|found| has(&found)), "no {about} is {name}");
            tried += 1;
        }
    }
    assert!(tried >= 3, "{tried} flags");
}

/// What bits in bodies say, in the words of the stories, and what fields say beside numbers.
#[test]
fn each_way_to_say_something_is_in_one() {
    let stories = stories().concat();
    for words in [
        // Of an anchor.
        "settled: true",
        "settled: false",
        "under_way: true",
        "all_back_filled: true",
        "all_back_filled: false",
        // Of a volume's intent.
        "synced: true, cancelled: false",
        "synced: true, cancelled: true",
        "synced: false, cancelled: false",
        // Of a mark.
        "pinned: true",
        "stand_in: Some",
        "evicted: true",
        // Names of objects.
        "\"app.db\"",
        "\"//volume/",
        "\"//forgotten/",
    ] {
        assert!(stories.contains(words), "{words}");
    }
    let records = all_records();
    let has = |test: &dyn Fn(&Found) -> bool| records.iter().any(test);
    let eras: BTreeSet<_> = records
        .iter()
        .filter(|found| found.head.kind == Kind::Era)
        .map(|found| (found.head.key, EraBody::decode(&found.body).unwrap().broken))
        .collect();
    assert_eq!(eras.len(), 4, "whole and broken ones of both engines: {eras:?}");
    assert!(has(&|found| found.head.kind == Kind::Commit && found.head.key.get() > 0), "who committed");
    assert!(has(&|found| found.head.kind == Kind::Commit && found.head.key.get() == 0), "not told");
    let unsized_object = |found: &Found| found.head.kind == Kind::Object && found.body[..4] == [0; 4];
    assert!(has(&unsized_object), "an object whose images differ in length");
}

#[test]
fn each_form_of_a_sealed_body_is_in_one() {
    let mut found = BTreeSet::new();
    let mut layouts = BTreeSet::new();
    for file in folders().iter().flat_map(|folder| entries(&folder.join(STORE))) {
        if file.extension().is_some_and(|end| end == "zst") {
            let bytes = fs::read(&file).unwrap();
            layouts.insert(u32::from_le_bytes(bytes[16..20].try_into().unwrap()));
            found.extend(forms_of_bodies(&bytes).expect("a sealed file"));
        }
    }
    for form in FORMS_OF_BODIES {
        assert!(found.contains(form), "{form} is not among {found:?}");
    }
    assert!(found.contains("runs from an older one"), "{found:?}");
    assert!(layouts.into_iter().eq(1..=SEALED_VERSION));
}

/// Words that no golden store has said anything in: they are about a moment in the life of a store, and worth nothing later.
const UNSAID: [&str; 3] = ["WANTED", "BROKEN", "BEHIND"];

#[test]
fn each_word_of_control_says_something_in_one() {
    let source = source("core/src/format/control.rs");
    let words = source
        .lines()
        .filter(|line| line.starts_with("pub(crate) const "))
        .flat_map(|line| constants(line, "pub", "\n"));
    let controls: Vec<_> =
        folders().iter().map(|folder| fs::read(folder.join(STORE).join("control")).unwrap()).collect();
    let says = |at: usize| controls.iter().any(|control| control[at..at + 8] != [0; 8]);
    let (mut unsaid, mut tried) = (Vec::new(), 0);
    for (name, value) in
        words.filter(|(name, _)| !["HEADER_LEN", "SLOTS", "OBJECTS", "REGISTERS"].contains(name))
    {
        // The shared ones are told by their places, those of an object by their numbers.
        let there = match value as usize {
            at @ 128.. => says(at),
            number => (0..2).any(|object| says(20480 + object * 128 + number * 8)),
        };
        if !there {
            unsaid.push(name);
        }
        tried += 1;
    }
    assert!(tried >= 18, "{tried} words");
    unsaid.sort_unstable();
    let mut expected = UNSAID;
    expected.sort_unstable();
    assert_eq!(unsaid, expected);
}
