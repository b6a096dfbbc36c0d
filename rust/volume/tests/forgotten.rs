//! Volumes that are forgotten, and names that two contents want.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod folder;
mod random;

use std::path::Path;

use dbrewind_volume::{
    AttachOptions, Code, Error, FileVolume, Memory, StoreSettings, Synchronous, Volume, VolumeStore,
};
use folder::Folder;
use random::Random;

fn open(folder: &Path, limit: Option<u64>) -> VolumeStore {
    VolumeStore::open(&folder.join("history"), &StoreSettings { limit, ..StoreSettings::default() }).unwrap()
}

fn attach(
    store: &VolumeStore,
    name: &str,
    memory: &Memory,
    options: &AttachOptions,
) -> Result<Volume, Error> {
    Volume::attach(store, name, 4096, memory.clone(), options)
}

fn fill(volume: &Volume, memory: &Memory, random: &mut Random) -> Result<(), Error> {
    let mut lock = memory.locked();
    volume.enter()?;
    let length = lock.content().len();
    volume.will_write(0, length as u64)?;
    lock.edit(|bytes| bytes.fill_with(|| random.next() as u8));
    volume.commit().map(drop)
}

#[test]
fn a_volume_that_is_forgotten_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), None);
    let memory = Memory::new(&[7; 8192]);
    let volume = attach(&store, "v", &memory, &AttachOptions::default()).unwrap();
    volume.mark_pinned("m").unwrap();
    let records = folder.path().join("records");
    let keyed = Folder::attach(&store, &records, &AttachOptions::default()).unwrap();
    keyed.mark("m").unwrap();
    assert_eq!(store.forget("v").unwrap_err().code(), Code::Busy);
    assert_eq!(volume.marks().unwrap().len(), 1, "nothing was forgotten");
    volume.detach().unwrap();
    store.forget("v").unwrap();
    assert_eq!(store.forget("v").unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(store.forget("").unwrap_err().code(), Code::InvalidArgument);
    keyed.detach().unwrap();
    store.forget("folder").unwrap();
    // More often than there are names in a store.
    for round in 0..300 {
        let volume = attach(&store, "v", &memory, &AttachOptions::default()).unwrap();
        assert!(volume.marks().unwrap().is_empty(), "{round}");
        assert_eq!(volume.rewind("m").unwrap_err().code(), Code::MarkNotFound);
        volume.mark("m").unwrap();
        fill(&volume, &memory, &mut Random(round)).unwrap();
        volume.rewind("m").unwrap();
        drop(volume);
        store.forget("v").unwrap();
    }
    let keyed = Folder::attach(&store, &records, &AttachOptions::default()).unwrap();
    assert!(keyed.marks().unwrap().is_empty());
}

#[test]
fn the_log_is_cut_behind_a_volume_that_was_forgotten() {
    for forgotten in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), Some(4 << 20));
        let idle = attach(&store, "idle", &Memory::new(&[1; 8192]), &AttachOptions::anew()).unwrap();
        idle.mark("m").unwrap();
        drop(idle);
        if forgotten {
            store.forget("idle").unwrap();
        }
        let (memory, mut random) = (Memory::new(&[1; 64 << 10]), Random(3));
        let volume = attach(&store, "busy", &memory, &AttachOptions::anew()).unwrap();
        let done = (0..200).try_for_each(|round| {
            fill(&volume, &memory, &mut random)?;
            volume.mark(&format!("{round}")).map(drop)
        });
        let code = done.map_err(|error| error.code());
        assert_eq!(code, if forgotten { Ok(()) } else { Err(Code::StoreFull) });
    }
}

/// It is what cures the store.
#[test]
fn hazard_a_volume_that_fills_the_store_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Some(1 << 20));
    let (memory, mut random) = (Memory::new(&[1; 64 << 10]), Random(3));
    let volume = attach(&store, "v", &memory, &AttachOptions::anew()).unwrap();
    for number in 0..100 {
        volume.mark_pinned(&format!("{number:0200}")).unwrap();
    }
    let done = (0..200).try_for_each(|round| {
        fill(&volume, &memory, &mut random)?;
        volume.mark(&format!("{round}")).map(drop)
    });
    assert_eq!(done.unwrap_err().code(), Code::StoreFull);
    let _ = volume.detach();
    store.forget("v").unwrap();
    let volume = attach(&store, "other", &memory, &AttachOptions::anew()).unwrap();
    volume.mark("m").unwrap();
    fill(&volume, &memory, &mut random).unwrap();
    volume.rewind("m").unwrap();
}

/// Which another one keeps full: nothing that is said makes room for the next word. Also when everything that histories may take in need is taken.
#[test]
fn hazard_a_volume_is_forgotten_half() {
    for (marks, rounds) in [(3, 1), (300, 1), (300, 9)] {
        let what = format!("{marks} marks, {rounds} rounds");
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), Some(1 << 20));
        let (memory, small, mut random) = (Memory::new(&[1; 64 << 10]), Memory::new(&[2; 8192]), Random(3));
        let keeps = attach(&store, "keeps", &memory, &AttachOptions::anew()).unwrap();
        keeps.mark_pinned("from here on").unwrap();
        let volume = attach(&store, "v", &small, &AttachOptions::anew()).unwrap();
        for number in 0..marks {
            volume.mark_pinned(&format!("{number:0250}")).unwrap();
        }
        let done = (0..200).try_for_each(|round| {
            fill(&keeps, &memory, &mut random)?;
            keeps.mark(&format!("{round}")).map(drop)
        });
        assert_eq!(done.unwrap_err().code(), Code::StoreFull, "{what}");
        volume.detach().expect(&what);
        for round in 0..rounds {
            store.forget("v").expect(&what);
            assert_eq!(store.forget("v").unwrap_err().code(), Code::InvalidArgument, "{what}");
            if round + 1 < rounds {
                // There may be no room for its marks to be dropped, or for an era.
                match attach(&store, "v", &small, &AttachOptions::default()) {
                    Ok(again) => assert!(again.marks().unwrap().is_empty(), "{what}"),
                    Err(error) => {
                        assert_eq!(error.code(), Code::StoreFull, "{what}");
                        break;
                    }
                }
            }
        }
        drop(keeps);
        store.forget("keeps").unwrap();
        let again = attach(&store, "v", &small, &AttachOptions::default()).unwrap();
        assert!(again.marks().unwrap().is_empty(), "{what}");
        again.mark("m").unwrap();
        fill(&again, &small, &mut random).unwrap();
        again.rewind("m").unwrap();
        assert_eq!(small.locked().content(), [2; 8192], "{what}");
    }
}

#[test]
fn two_contents_cannot_begin_under_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), None);
    let (one, two) = (Memory::new(&[1; 4096]), Memory::new(&[2; 4096]));
    let first = attach(&store, "v", &one, &AttachOptions::anew()).unwrap();
    first.mark("m").unwrap();
    let error = attach(&store, "v", &two, &AttachOptions::anew()).unwrap_err();
    assert_eq!(error.code(), Code::Busy);
    assert!(error.to_string().contains("another name"), "{error}");
    // Another handle of the same content.
    let second = attach(&store, "v", &one, &AttachOptions::default()).unwrap();
    fill(&second, &one, &mut Random(1)).unwrap();
    second.rewind("m").unwrap();
    assert_eq!(one.locked().content(), [1; 4096]);
    first.detach().unwrap();
    assert!(attach(&store, "v", &two, &AttachOptions::anew()).is_err());
    second.detach().unwrap();
    let other = attach(&store, "v", &two, &AttachOptions::anew()).unwrap();
    assert_eq!(other.rewind("m").unwrap_err().code(), Code::MarkLost);
}

/// Blocks of zeros take next to nothing, however many of them a file has.
#[test]
fn a_file_that_has_grown_sparse_is_rewound_in_a_small_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Some(16 << 20));
    let path = folder.path().join("data");
    std::fs::write(&path, [7; 10_000]).unwrap();
    let options = AttachOptions { synchronous: Synchronous::Off, ..AttachOptions::default() };
    let file = FileVolume::attach(&store, "data", 4096, &path, &options).unwrap();
    file.mark("m").unwrap();
    let length = 128 << 20;
    let mut change = file.begin().unwrap();
    change.set_len(length).unwrap();
    change.write_at(100 << 20, &[9; 5000]).unwrap();
    change.write_at(0, &[0; 8192]).unwrap();
    change.commit().unwrap();
    let undo = file.rewind("m").unwrap().undo;
    assert_eq!(std::fs::read(&path).unwrap(), [7; 10_000]);
    // Grown over since, not with zeros.
    let mut change = file.begin().unwrap();
    change.write_at(0, &vec![5; 1 << 20]).unwrap();
    change.commit().unwrap();
    file.rewind(undo).unwrap();
    let found = std::fs::read(&path).unwrap();
    assert_eq!(found.len() as u64, length);
    assert!(found[..8192].iter().all(|byte| *byte == 0) && found[8192..10_000].iter().all(|byte| *byte == 7));
    let (hole, rest) = found[10_000..].split_at((100 << 20) - 10_000);
    assert!(hole.iter().all(|byte| *byte == 0) && rest[..5000].iter().all(|byte| *byte == 9));
}
