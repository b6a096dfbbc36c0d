//! The golden store that says who wrote: it is read back exactly, byte by byte and through the library, and another note is another story.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

use std::fs;
use std::path::{Path, PathBuf};

use dbrewind_core::fuzzing::forge_record;
use dbrewind_core::{Cursor, Head, Kind, Location, Store, StoreOptions};
use dbrewind_sqlite::fuzzing::committed_by;
use dbrewind_testkit::golden::{STORE, STORY, WRITERS, compare, copy};

/// Tag of the note.
const WRITER: u64 = 6;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/1/writers")
}

/// A note, where it stands, and its body.
type Note = (Head, Location, Vec<u8>);

/// A copy, and its notes.
fn opened() -> (tempfile::TempDir, Store, Vec<Note>) {
    let scratch = tempfile::tempdir().unwrap();
    copy(&folder(), scratch.path());
    let store = Store::open(&scratch.path().join(STORE), &StoreOptions::default()).unwrap();
    let mut found = Vec::new();
    store
        .scan(&mut Cursor::default(), &mut |head, at, _| {
            if head.kind == Kind::Note && head.key.get() == WRITER {
                found.push((head, at));
            }
        })
        .unwrap();
    let notes = found.into_iter().map(|(head, at)| (head, at, store.read(at).unwrap().body)).collect();
    (scratch, store, notes)
}

/// What the library says of the commits, in the words of the generator, which knew it without a store.
fn told(store: &Store) -> String {
    let object = store.objects().unwrap()[0].0;
    let line = |one: dbrewind_sqlite::fuzzing::CommitsOf| {
        let (pid, thread, program) = (one.pid, one.thread, one.program.unwrap_or_default());
        format!("{} commits of process {pid} thread {thread}, {program}\n", one.commits)
    };
    committed_by(store, object).unwrap().into_iter().map(line).collect()
}

#[test]
fn process_thread_and_program_of_each_commit_are_told_as_they_were() {
    let (_scratch, store, _) = opened();
    let expected = fs::read_to_string(folder().join(WRITERS)).unwrap();
    assert!(expected.lines().count() >= 4, "two threads and two other processes");
    assert_eq!(told(&store), expected);
}

/// By the offsets of `format.md`, without the library's decoder.
#[test]
fn the_story_tells_each_field_of_a_note() {
    let (_scratch, _store, notes) = opened();
    let story = fs::read_to_string(folder().join(STORY)).unwrap();
    assert!(notes.len() >= 3, "{}", notes.len());
    for (_, at, body) in &notes {
        let number = |at: usize, len: usize| {
            body[at..at + len].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let boot: Vec<u8> = body[24..40].to_vec();
        let program = std::str::from_utf8(&body[40..]).unwrap();
        assert!(number(0, 4) > 0 && number(4, 4) == 0 && number(8, 8) > 0 && number(16, 8) > 0);
        let text = format!(
            "WriterNote {{ process: Process {{ pid: {}, began: {} }}, namespace: {}, boot: {boot:?}, program: {program:?} }}",
            number(0, 4),
            number(8, 8),
            number(16, 8),
        );
        let line = story.lines().find(|line| line.starts_with(&format!("{at}: "))).unwrap();
        assert!(line.ends_with(&text), "{line}\nshould end with\n{text}");
    }
    // In sealed segments and in one that is not.
    let sealed =
        |at: &Location| folder().join(STORE).join(format!("{:016x}.zst", at.segment().get())).exists();
    let count = notes.iter().filter(|(_, at, _)| sealed(at)).count();
    assert!(count > 0 && count < notes.len(), "{count} of {} are sealed", notes.len());
}

/// Each field, with the right hashes.
#[test]
fn another_note_is_noticed() {
    let (scratch, store, notes) = opened();
    drop((scratch, store));
    let raw = |at: &Location| folder().join(STORE).join(format!("{:016x}.seg", at.segment().get())).exists();
    let (head, at, body) = notes.into_iter().rfind(|(_, at, _)| raw(at)).unwrap();
    let expected = fs::read_to_string(folder().join(WRITERS)).unwrap();
    // The first byte of each field; of the program the last one, too.
    for place in [0, 4, 8, 16, 24, 40, body.len() - 1] {
        let mut changed = body.clone();
        changed[place] ^= 1;
        let scratch = tempfile::tempdir().unwrap();
        copy(&folder(), scratch.path());
        let path = scratch.path().join(STORE).join(format!("{:016x}.seg", at.segment().get()));
        let record = forge_record(at.segment().get() as u32, at.offset(), head, &changed);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at.offset() as usize..][..record.len()].copy_from_slice(&record);
        fs::write(&path, bytes).unwrap();
        assert!(compare(scratch.path()).is_err(), "byte {place} of the note can be another one");
        let store = Store::open(&scratch.path().join(STORE), &StoreOptions::default()).unwrap();
        // When it began, where and in which run of the machine is not told of a commit.
        assert_eq!(told(&store) == expected, (8..40).contains(&place), "byte {place}");
    }
}
