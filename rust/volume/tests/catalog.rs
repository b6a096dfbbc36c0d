//! What is in a store, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod folder;
mod random;

use dbrewind_volume::{AttachOptions, Code, MarkState, Memory, StoreSettings, Volume, VolumeStore};
use folder::Folder;

#[test]
fn a_store_tells_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history");
    let missing = VolumeStore::open_to_look(&history).unwrap_err();
    assert_eq!(missing.code(), Code::FileMissing);
    assert!(!history.exists(), "looking makes nothing");

    let store = VolumeStore::open(&history, &StoreSettings::default()).unwrap();
    assert!(VolumeStore::open_to_look(&history).unwrap().volumes().unwrap().is_empty());
    let memory = Memory::new(&[7; 640]);
    let b = Volume::attach(&store, "//volume/b", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    let other = Volume::attach(&store, "//volume/b", 128, memory.clone(), &AttachOptions::anew()).unwrap();
    other.detach().unwrap();
    let a = Folder::attach(&store, &folder.path().join("records"), &AttachOptions::default()).unwrap();
    a.mark("m").unwrap();
    let pinned = b.mark_pinned("kept").unwrap();
    let gone = Volume::attach(&store, "gone", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    gone.mark("x").unwrap();
    gone.detach().unwrap();
    store.forget("gone").unwrap();

    let looking = VolumeStore::open_to_look(&history).unwrap();
    assert!(looking.databases().unwrap().is_empty());
    let volumes = looking.volumes().unwrap();
    let told: Vec<_> = volumes.iter().map(|one| (one.name.as_str(), one.block_size, one.attached)).collect();
    assert_eq!(told, [("//volume/b", 64, true), ("//volume/b", 128, false), ("folder", 0, true)]);
    assert_eq!(volumes[0].marks, std::slice::from_ref(&pinned));
    assert_eq!(volumes[0].now, Some(b.now().unwrap()));
    assert_eq!(volumes[0].status.pins[0].lsn, pinned.lsn);
    assert_eq!((volumes[0].status.marks.archived, volumes[1].status.marks.archived), (1, 0));
    assert_eq!((volumes[2].marks[0].name.as_str(), volumes[2].marks[0].blocks), ("m", 0));
    assert_eq!(volumes[2].marks[0].state, MarkState::Archived);
    assert!(volumes.iter().all(|one| one.stopped.is_none() && one.status.used > 0));

    // Nobody was kept from anything, and what is told is of its moment.
    b.detach().unwrap();
    Volume::attach(&store, "//volume/b", 64, memory, &AttachOptions::anew()).unwrap();
    let volumes = looking.volumes().unwrap();
    assert_eq!((volumes[0].marks[0].state, volumes[0].status.marks.lost), (MarkState::Lost, 1));
    assert!(!volumes[0].attached);
}
