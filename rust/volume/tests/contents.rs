//! One name, two contents: refused, whoever attaches second, with nothing changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod failing;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dbrewind_volume::{
    AttachOptions, Code, Error, FileVolume, MarkState, Memory, StoreSettings, Volume, VolumeStore,
};
use failing::Failing;

const FOLDER: &str = "DBREWIND_VOLUME_CONTENTS";

fn store(folder: &Path) -> VolumeStore {
    VolumeStore::open(&folder.join("history"), &StoreSettings::default()).unwrap()
}

fn file(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    if !path.exists() {
        std::fs::write(&path, name.repeat(200)).unwrap();
    }
    path
}

fn attach(folder: &Path, path: &Path) -> Result<FileVolume, Error> {
    FileVolume::attach(&store(folder), "data", 64, path, &AttachOptions::default())
}

fn write(file: &FileVolume, bytes: &[u8]) {
    let mut change = file.begin().unwrap();
    change.write_at(0, bytes).unwrap();
    change.commit().unwrap();
}

#[test]
fn hazard_two_files_are_attached_under_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (file(folder.path(), "1"), file(folder.path(), "2"));
    let first = attach(folder.path(), &one).unwrap();
    first.mark("m").unwrap();
    write(&first, b"changed");
    let (now, marks) = (first.now().unwrap(), first.marks().unwrap());
    for _ in 0..2 {
        let error = attach(folder.path(), &two).unwrap_err();
        assert_eq!(error.code(), Code::Busy, "{error}");
        assert!(error.to_string().contains("a name of its own"), "{error}");
    }
    // Nothing has changed.
    assert_eq!((first.now().unwrap(), first.marks().unwrap()), (now, marks));
    assert_eq!(std::fs::read(&two).unwrap(), [b'2'; 200]);
    first.rewind("m").unwrap();
    assert_eq!(std::fs::read(&one).unwrap(), [b'1'; 200]);
    // The same file, by another way.
    let linked = folder.path().join("linked");
    std::fs::hard_link(&one, &linked).unwrap();
    let second = attach(folder.path(), &linked).unwrap();
    first.detach().unwrap();
    assert_eq!(attach(folder.path(), &two).unwrap_err().code(), Code::Busy, "one of them is still there");
    write(&second, b"changed");
    second.rewind("m").unwrap();
    assert_eq!(std::fs::read(&one).unwrap(), [b'1'; 200]);
    second.detach().unwrap();
    // Now the name is free; but the history is not this file's.
    let other = attach(folder.path(), &two).unwrap();
    assert_eq!(other.marks().unwrap()[0].state, MarkState::Lost);
    assert_eq!(attach(folder.path(), &one).unwrap_err().code(), Code::Busy);
    assert_eq!(std::fs::read(&two).unwrap(), [b'2'; 200]);
}

/// The other process.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let first = attach(&folder, &file(&folder, "1")).unwrap();
    first.mark("m").unwrap();
    write(&first, b"changed");
    println!("\n> attached");
    std::io::stdin().lines().for_each(drop);
}

fn other_process(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env(FOLDER, folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "> attached"), "{:?}", child.wait());
    child
}

#[test]
fn hazard_another_process_has_another_file_attached() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (file(folder.path(), "1"), file(folder.path(), "2"));
    let mut child = other_process(folder.path());
    assert_eq!(attach(folder.path(), &two).unwrap_err().code(), Code::Busy);
    let same = attach(folder.path(), &one).unwrap();
    same.rewind("m").unwrap();
    same.abandon();
    child.kill().unwrap();
    child.wait().unwrap();
    // Killed: nothing tells that the content is at rest, and the length is the same.
    let other = attach(folder.path(), &two).unwrap();
    assert_eq!(other.marks().unwrap()[0].state, MarkState::Lost, "it is the mark of another file");
    assert_eq!(std::fs::read(&two).unwrap(), [b'2'; 200]);
}

#[test]
fn hazard_the_file_of_a_killed_process_was_replaced_by_one_of_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "1");
    let first = attach(folder.path(), &path).unwrap();
    first.mark("m").unwrap();
    write(&first, b"changed");
    first.abandon();
    let restored = folder.path().join("restored");
    std::fs::write(&restored, [b'9'; 200]).unwrap();
    std::fs::rename(&restored, &path).unwrap();
    let second = attach(folder.path(), &path).unwrap();
    assert_eq!(second.rewind("m").unwrap_err().code(), Code::MarkLost);
    assert_eq!(std::fs::read(&path).unwrap(), [b'9'; 200]);
}

#[test]
fn two_contents_in_memory_are_told_apart_without_being_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (one, two) = (Memory::new(&[1; 640]), Memory::new(&[2; 640]));
    let attach = |memory: &Memory| Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::default());
    let first = attach(&one).unwrap();
    first.mark("m").unwrap();
    assert_eq!(attach(&two).unwrap_err().code(), Code::Busy);
    let again = attach(&one).unwrap();
    drop(first);
    assert_eq!(attach(&two).unwrap_err().code(), Code::Busy);
    drop(again);
    assert_eq!(attach(&one).unwrap().marks().unwrap()[0].state, MarkState::Archived);
    assert_eq!(attach(&two).unwrap().marks().unwrap()[0].state, MarkState::Lost);
}

#[test]
fn hazard_the_half_rewind_of_one_content_is_finished_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let attach = |medium: &Arc<Failing>, options: &AttachOptions| {
        Volume::attach(&store, "v", 64, Arc::clone(medium), options)
    };
    let (one, two) = (Failing::new(&[5; 640]), Failing::new(&[7; 640]));
    one.be("one");
    two.be("two");
    let volume = attach(&one, &AttachOptions::default()).unwrap();
    volume.mark("m").unwrap();
    let mut lock = one.memory.locked();
    volume.enter().unwrap();
    volume.will_write(0, 640).unwrap();
    lock.edit(|bytes| bytes.fill(6));
    volume.commit().unwrap();
    drop(lock);
    one.fail_after(4);
    assert!(matches!(volume.rewind("m").unwrap_err(), Error::HalfDone { .. }));
    volume.abandon();

    let error = attach(&two, &AttachOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::FileReplaced, "{error}");
    assert_eq!(two.memory.locked().content(), [7; 640]);
    one.fail_after(u32::MAX);
    let volume = attach(&one, &AttachOptions::default()).unwrap();
    assert_eq!(one.memory.locked().content(), [5; 640], "whose it is finishes it");
    assert_eq!(volume.marks().unwrap()[0].state, MarkState::Archived);
    drop(volume);
    let other = attach(&two, &AttachOptions::anew()).unwrap();
    assert_eq!(other.marks().unwrap()[0].state, MarkState::Lost);
    assert_eq!(two.memory.locked().content(), [7; 640]);
}

#[test]
fn who_does_not_tell_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let attach = |medium: &Arc<Failing>| {
        Volume::attach(&store, "v", 64, Arc::clone(medium), &AttachOptions::default())
    };
    let (silent, one, two) = (Failing::new(&[5; 64]), Failing::new(&[5; 64]), Failing::new(&[5; 64]));
    one.be("one");
    two.be("two");
    let first = attach(&silent).unwrap();
    first.mark("m").unwrap();
    let second = attach(&one).unwrap();
    // The first one that tells counts.
    assert_eq!(attach(&two).unwrap_err().code(), Code::Busy);
    drop((first, second));
    let silent = attach(&silent).unwrap();
    assert_eq!(silent.marks().unwrap()[0].state, MarkState::Archived);
    drop(attach(&two).unwrap());
}

#[test]
fn an_identity_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let medium = Failing::new(&[5; 64]);
    let attach = || Volume::attach(&store, "v", 64, Arc::clone(&medium), &AttachOptions::default());
    medium.be(&"x".repeat(4097));
    assert_eq!(attach().unwrap_err().code(), Code::InvalidArgument);
    medium.be(failing::UNTOLD);
    assert_eq!(attach().unwrap_err().code(), Code::Io);
    medium.be(&"x".repeat(4096));
    attach().unwrap();
}
